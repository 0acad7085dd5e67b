import de.bwaldvogel.mongo.backend.Missing;
import de.bwaldvogel.mongo.bson.BinData;
import de.bwaldvogel.mongo.bson.Decimal128;
import de.bwaldvogel.mongo.bson.Document;
import de.bwaldvogel.mongo.bson.ObjectId;
import de.bwaldvogel.mongo.wire.bson.BsonEncoder;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufUtil;
import io.netty.buffer.Unpooled;
import java.math.BigDecimal;
import java.util.Collection;
import java.util.Map;

/** Spells a BSON value so that two values that MongoDB holds equal, and only those, are the same text.
 *
 * Exact for numbers of every type and all 34 digits: 1, 1.0 and NumberDecimal("1.00") are one key. */
final class KeyText {
    private KeyText() {
    }

    static String of(Object value) {
        StringBuilder text = new StringBuilder();

        append(text, value);
        return text.toString();
    }

    private static void append(StringBuilder text, Object value) {
        if (Missing.isNullOrMissing(value)) {
            text.append('z');
        } else if (value instanceof Number) {
            number(text, (Number) value);
        } else if (value instanceof String) {
            counted(text.append('s'), (String) value);
        } else if (value instanceof Document) {
            text.append('{');
            for (Map.Entry<String, Object> field : ((Document) value).entrySet()) {
                counted(text, field.getKey());
                append(text, field.getValue());
            }
            text.append('}');
        } else if (value instanceof Collection) {
            text.append('[');
            ((Collection<?>) value).forEach(element -> append(text, element));
            text.append(']');
        } else if (value instanceof ObjectId) {
            text.append('o').append(ByteBufUtil.hexDump(((ObjectId) value).toByteArray()));
        } else if (value instanceof BinData) {
            counted(text.append('b'), ByteBufUtil.hexDump(((BinData) value).getData()));
        } else {
            encoded(text, value);
        }
    }

    private static void counted(StringBuilder text, String value) {
        text.append(value.length()).append(':').append(value);
    }

    private static void number(StringBuilder text, Number value) {
        BigDecimal exact = exact(value);

        if (exact == null) {
            text.append('x').append(value.doubleValue());
        } else if (exact.signum() == 0) {
            text.append("n0;");
        } else {
            exact = exact.stripTrailingZeros();
            text.append('n').append(exact.unscaledValue()).append('e').append(-exact.scale()).append(';');
        }
    }

    /* null for NaN and the infinities */
    private static BigDecimal exact(Number value) {
        if (value instanceof Decimal128) {
            double rough = value.doubleValue();
            if (value.equals(Decimal128.NEGATIVE_ZERO)) {
                return BigDecimal.ZERO;
            }
            return Double.isNaN(rough) || isInfinite((Decimal128) value) ? null
                                                                        : ((Decimal128) value).toBigDecimal();
        }
        if (value instanceof Double) {
            return Double.isNaN((Double) value) || Double.isInfinite((Double) value)
                ? null
                : new BigDecimal((Double) value);
        }
        return BigDecimal.valueOf(value.longValue());
    }

    private static boolean isInfinite(Decimal128 value) {
        return value.equals(Decimal128.POSITIVE_INFINITY) || value.equals(Decimal128.NEGATIVE_INFINITY);
    }

    /* Every other type: its kind and its bytes as they go over the wire. */
    private static void encoded(StringBuilder text, Object value) {
        ByteBuf bson = Unpooled.buffer();

        BsonEncoder.encodeDocument(new Document("", value), bson);
        counted(text.append('t'), ByteBufUtil.hexDump(bson));
    }
}
