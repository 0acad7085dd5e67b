import de.bwaldvogel.mongo.bson.BinData;
import de.bwaldvogel.mongo.bson.Document;
import de.bwaldvogel.mongo.wire.bson.BsonDecoder;
import de.bwaldvogel.mongo.wire.bson.BsonEncoder;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import java.nio.ByteBuffer;
import java.util.Collection;
import java.util.Map;
import org.h2.mvstore.DataUtils;
import org.h2.mvstore.WriteBuffer;
import org.h2.mvstore.type.BasicDataType;

/** Stores a document as its BSON bytes. */
final class DocumentType extends BasicDataType<Document> {
    @Override
    public int getMemory(Document document) {
        return memory(document);
    }

    /* An estimate: H2 splits its pages by it. */
    private static int memory(Object value) {
        int bytes = 48;

        if (value instanceof Map) {
            for (Map.Entry<?, ?> field : ((Map<?, ?>) value).entrySet()) {
                bytes += memory(field.getKey()) + memory(field.getValue());
            }
        } else if (value instanceof Collection) {
            for (Object element : (Collection<?>) value) {
                bytes += memory(element);
            }
        } else if (value instanceof String) {
            bytes += ((String) value).length();
        } else if (value instanceof BinData) {
            bytes += ((BinData) value).getData().length;
        }
        return bytes;
    }

    @Override
    public void write(WriteBuffer out, Document document) {
        ByteBuf bson = Unpooled.buffer();

        BsonEncoder.encodeDocument(document, bson);
        out.putVarInt(bson.readableBytes()).put(bson.nioBuffer());
    }

    @Override
    public Document read(ByteBuffer in) {
        byte[] bson = new byte[DataUtils.readVarInt(in)];

        in.get(bson);
        return BsonDecoder.decodeBson(Unpooled.wrappedBuffer(bson));
    }

    @Override
    public Document[] createStorage(int size) {
        return new Document[size];
    }
}
