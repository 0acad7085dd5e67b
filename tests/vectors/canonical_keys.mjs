// Writes canonical_keys.json: items as a service may spell them, and their keys as JSON.stringify
// writes them. For development: node canonical_keys.mjs > canonical_keys.json
let seed = 20251009;

function below(n) {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return Math.floor((seed / 2 ** 32) * n);
}

function pick(list) {
    return list[below(list.length)];
}

const units = [
    "a", "Z", "0", " ", '"', "\\", "/", "\b", "\f", "\n", "\r", "\t", "\0", "\x1f", "\x7f", "\x80",
    "\u00e9", "\u0416", "\u20ac", "\u2028", "\u2029", "\ufeff", "\uffff", "\ud7ff", "\ue000",
    "\u{1f600}", "\u{10ffff}", "\u{10000}", "\ud83d", "\ude00", "abcdefghijklmnop", "$", ".",
];
const shorts = {'"': '\\"', "\\": "\\\\", "/": "\\/", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"};

function text(length) {
    let out = "";
    for (let i = 0; i < length; i++)
        out += pick(units);
    return out;
}

// One of the spellings that JSON allows; a lone surrogate can only be escaped.
function spelled(string) {
    let out = "";
    for (const character of string) {
        const way = below(4);
        const must = character < " " || character === '"' || character === "\\" || /^[\ud800-\udfff]$/.test(character);
        if (way === 0 && character in shorts) {
            out += shorts[character];
        } else if (way === 1 || must) {
            for (let i = 0; i < character.length; i++) {
                const hex = character.charCodeAt(i).toString(16).padStart(4, "0");
                out += "\\u" + (below(2) ? hex : hex.toUpperCase());
            }
        } else {
            out += character;
        }
    }
    return '"' + out + '"';
}

function base64(length) {
    return Buffer.from(Array.from({length}, () => below(256))).toString("base64");
}

const numbers = [["0", "-0.0"], ["15", "1.500E1"], ["-7", "-007"], ["0.001", "1E-3"], ["100", "1e+2"], ["42", "42"]];

function keyValue(type) {
    if (type === "N") {
        const [plain, other] = pick(numbers);
        return {canonical: plain, other: pick([plain, other])};
    }
    const canonical = type === "S" ? text(below(6)) : base64(below(8));
    return {canonical, other: canonical};
}

function space() {
    return pick(["", "", "", " ", "\n\t"]);
}

function vector() {
    const schema = ["HASH", "RANGE"].slice(0, 1 + below(2)).map((kind, i) => {
        const name = (i ? "r" : "h") + pick(["", "", "k", "_id", "$", ".", '"', "\\", "\u00e9", "\u{1f600}", "\0", "\ud800"]);
        return {AttributeName: name, KeyType: kind, AttributeType: pick(["S", "N", "B"])};
    });
    const members = [];
    const canonical = [];
    for (const {AttributeName: name, AttributeType: type} of schema) {
        const value = keyValue(type);
        const plain = below(3) === 0;
        const inner = plain ? JSON.stringify(value.other) : spelled(value.other);
        members.push(`${spelled(name)}${space()}:${space()}{${space()}"${type}"${space()}:${space()}${inner}${space()}}`);
        canonical.push(`${JSON.stringify(name)}:{"${type}":${JSON.stringify(value.canonical)}}`);
    }
    members.push('"other":{"L":[{"M":{}},{}]}');
    if (below(2))
        members.reverse();
    return {
        schema,
        item: "{" + members.join("," + space()) + "}",
        message_key: `{${canonical[0]}}`,
        keys: `{${canonical.join(",")}}`,
    };
}

const lines = Array.from({length: 400}, () => JSON.stringify(vector()));
console.log("[\n" + lines.join(",\n") + "\n]");
