import java.math.BigDecimal;
import java.util.Random;

/** Writes canonical_numbers.json. For development: java CanonicalNumbers.java > canonical_numbers.json */
class CanonicalNumbers {
    static final Random random = new Random(20251009);

    static String digits(int n) {
        StringBuilder out = new StringBuilder();
        for (int i = 0; i < n; i++)
            out.append((char) ('0' + (random.nextInt(3) == 0 ? 0 : random.nextInt(10))));
        return out.toString();
    }

    static String spelled() {
        StringBuilder out = new StringBuilder();
        out.append(new String[] {"", "", "-", "+"}[random.nextInt(4)]);
        out.append("0".repeat(random.nextInt(4) == 0 ? random.nextInt(5) : 0));
        out.append(digits(1 + random.nextInt(19)));
        if (random.nextBoolean())
            out.append('.').append(digits(1 + random.nextInt(19)));
        if (random.nextBoolean())
            out.append(random.nextBoolean() ? 'e' : 'E').append(new String[] {"", "-", "+"}[random.nextInt(3)])
                    .append(random.nextInt(100));
        return out.toString();
    }

    public static void main(String[] args) {
        String[] fixed = {"0", "-0", "0.0", "-0.00", "0E5", "0e-9", "1", "1.0", "1E3", "1e5", "+1", "00012", "-12", "100",
            "100.5", "1E-130", "-1E-130", "9.99E+125", "9.9999999999999999999999999999999999999E+125",
            "99999999999999999999999999999999999999", "0.12345678901234567890123456789012345678",
            "1.2345678901234567890123456789012345678E-93", "12345678901234567890123456789012345678000", ".5", "5.",
            "-.50", "1000000000000000000000000000000000000000000000000", "0.000000000000000000000000000000000000001"};
        StringBuilder out = new StringBuilder("[\n");
        for (int i = 0; i < 1000; i++) {
            String text = i < fixed.length ? fixed[i] : spelled();
            BigDecimal value = new BigDecimal(text);
            // older versions leave zeros of a fraction standing: every zero is one zero
            String plain = value.signum() == 0 ? "0" : value.stripTrailingZeros().toPlainString();
            out.append("[\"").append(text).append("\",\"").append(plain).append(i < 999 ? "\"],\n" : "\"]\n]");
        }
        System.out.println(out);
    }
}
