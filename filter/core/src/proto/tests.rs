//! Messages as protojson shows them, of a descriptor set that is put together here.

use serde_json::json;

use super::*;

/// A varint field.
fn number(field: u32, mut value: u64) -> Vec<u8> {
    let mut out = vec![u8::try_from(field << 3).unwrap()];
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
    out
}

/// A field of bytes, text or a message.
fn bytes(field: u32, value: impl AsRef<[u8]>) -> Vec<u8> {
    let value = value.as_ref();
    let mut out = number(field, value.len() as u64);
    out[0] |= 2;
    out.extend(value);
    out
}

fn message(name: &str, parts: &[Vec<u8>]) -> Vec<u8> {
    [bytes(1, name), parts.concat()].concat()
}

/// Name, number, label (1 optional, 2 required, 3 repeated) and type, with a type's name.
fn field(name: &str, at: u64, label: u64, kind: u64, type_name: &str) -> Vec<u8> {
    let mut out = [bytes(1, name), number(3, at), number(4, label), number(5, kind)].concat();
    if !type_name.is_empty() {
        out.extend(bytes(6, type_name));
    }
    bytes(2, out)
}

fn file(name: &str, package: &str, syntax: &str, parts: &[Vec<u8>]) -> Vec<u8> {
    bytes(1, [bytes(1, name), bytes(2, package), parts.concat(), bytes(12, syntax)].concat())
}

/// `google.protobuf` as far as it is used, without its fields: they are read by name.
fn well_known() -> Vec<u8> {
    let names = [
        "Timestamp",
        "Duration",
        "FieldMask",
        "Struct",
        "Value",
        "ListValue",
        "Empty",
        "Any",
        "Int64Value",
        "StringValue",
        "BoolValue",
    ];
    let messages: Vec<_> = names.iter().map(|name| bytes(4, message(name, &[]))).collect();
    let null = bytes(5, message("NullValue", &[bytes(2, message("NULL_VALUE", &[]))]));
    file("known.proto", "google.protobuf", "proto3", &[messages.concat(), null])
}

fn oneof(name: &str, at: u64, kind: u64) -> Vec<u8> {
    bytes(2, [bytes(1, name), number(3, at), number(4, 1), number(5, kind), number(9, 0)].concat())
}

pub(crate) fn set() -> Vec<u8> {
    let entry = |value: Vec<u8>| message("E", &[field("key", 1, 1, 9, ""), value, bytes(7, number(7, 1))]);
    let named = |name: &str, entry: Vec<u8>| {
        let renamed = [bytes(1, name), entry[3..].to_vec()].concat();
        bytes(3, renamed)
    };
    let all = message(
        "All",
        &[
            field("a_double", 1, 1, 1, ""),
            field("a_float", 2, 1, 2, ""),
            field("an_int64", 3, 1, 3, ""),
            field("a_uint64", 4, 1, 4, ""),
            field("an_int32", 5, 1, 5, ""),
            field("a_bool", 8, 1, 8, ""),
            field("text", 9, 1, 9, ""),
            field("self", 11, 1, 11, ".demo.All"),
            field("raw", 12, 1, 12, ""),
            field("color", 14, 1, 14, ".demo.Color"),
            field("a_sint32", 15, 1, 17, ""),
            field("numbers", 16, 3, 5, ""),
            field("colors", 17, 3, 14, ".demo.Color"),
            field("children", 18, 3, 11, ".demo.All"),
            field("by_name", 19, 3, 11, ".demo.All.Texts"),
            field("messages", 20, 3, 11, ".demo.All.Children"),
            oneof("left", 21, 9),
            oneof("right", 22, 5),
            field("at", 23, 1, 11, ".google.protobuf.Timestamp"),
            field("span", 24, 1, 11, ".google.protobuf.Duration"),
            field("mask", 25, 1, 11, ".google.protobuf.FieldMask"),
            field("free", 26, 1, 11, ".google.protobuf.Struct"),
            field("boxed", 27, 1, 11, ".google.protobuf.Int64Value"),
            field("any", 28, 1, 11, ".google.protobuf.Any"),
            field("nothing", 29, 1, 11, ".google.protobuf.Empty"),
            named("Texts", entry(field("value", 2, 1, 9, ""))),
            named("Children", entry(field("value", 2, 1, 11, ".demo.All"))),
        ],
    );
    let colors = [("RED", 0), ("BLUE", 1), ("AZURE", 1)];
    let colors = colors.map(|(name, at)| bytes(2, [bytes(1, name), number(2, at)].concat()));
    let method = |name: &str, streams: u64| {
        bytes(2, [bytes(1, name), bytes(2, ".demo.All"), bytes(3, ".demo.All"), number(5, streams)].concat())
    };
    let old = message(
        "Old",
        &[field("must", 1, 2, 5, ""), field("may", 2, 1, 5, ""), field("group", 3, 1, 10, ".demo.Old")],
    );
    [
        well_known(),
        file(
            "demo.proto",
            "demo",
            "proto3",
            &[
                bytes(4, all),
                bytes(5, message("Color", &colors)),
                bytes(6, message("Forum", &[method("Post", 0), method("Upload", 1)])),
            ],
        ),
        file("old.proto", "demo", "proto2", &[bytes(4, old)]),
    ]
    .concat()
}

pub(crate) fn descriptors() -> Descriptors {
    Descriptors::parse(&set()).unwrap()
}

const LIMITS: MessageLimits = MessageLimits { depth: 8, values: 40 };

fn fixed32(field: u8, value: u32) -> Vec<u8> {
    [&[field << 3 | 5][..], &value.to_le_bytes()].concat()
}

#[test]
fn messages_are_shown_as_protojson_does() {
    let all = descriptors();
    let double = |value: f64| [&[1 << 3 | 1][..], &value.to_le_bytes()].concat();
    let instant = |seconds: i64, nanos: u64| [number(1, seconds.cast_unsigned()), number(2, nanos)].concat();
    let pair = |key: &str, value: Vec<u8>| [bytes(1, key), value].concat();
    let text = |text: &str| bytes(2, bytes(3, text));
    for (wire, expected) in [
        (vec![], json!({})),
        ([double(1.5), fixed32(2, 0.1_f32.to_bits())].concat(), json!({"aDouble": 1.5, "aFloat": 0.1})),
        (double(3.0), json!({"aDouble": 3})),
        (double(f64::NAN), json!({"aDouble": "NaN"})),
        (fixed32(2, f32::NEG_INFINITY.to_bits()), json!({"aFloat": "-Infinity"})),
        (
            [number(3, u64::MAX), number(4, u64::MAX)].concat(),
            json!({"anInt64": "-1", "aUint64": u64::MAX.to_string()}),
        ),
        ([number(5, u64::MAX), number(8, 1)].concat(), json!({"anInt32": -1, "aBool": true})),
        ([number(5, 0), number(8, 0), bytes(9, "")].concat(), json!({})),
        ([number(5, 7), number(5, 0)].concat(), json!({})),
        (bytes(12, [0xff, 0xfe]), json!({"raw": "//4="})),
        (number(14, 1), json!({"color": "BLUE"})),
        (number(14, 9), json!({"color": 9})),
        (number(14, 0), json!({})),
        (number(15, 3), json!({"aSint32": -2})),
        ([0x80, 0x01, 1, 0x80, 0x01, 2].to_vec(), json!({"numbers": [1, 2]})),
    ]
    .into_iter()
    .chain([
        // A tag of two bytes, which `number` does not write.
        ([&[0x82, 0x01, 3][..], &[1, 0x96, 0x01]].concat(), json!({"numbers": [1, 150]})),
        ([&[0x8a, 0x01, 2][..], &[0, 5]].concat(), json!({"colors": ["RED", 5]})),
        (
            [bytes(11, number(5, 1)), bytes(11, number(8, 1))].concat(),
            json!({"self": {"anInt32": 1, "aBool": true}}),
        ),
        (bytes(11, []), json!({"self": {}})),
    ]) {
        assert_eq!(all.decode("demo.All", &wire, LIMITS), Ok(expected), "{wire:?}");
    }
    // From here on tags have two bytes.
    let long = |field: u32, value: &[u8]| {
        let tag = field << 3 | 2;
        let low = u8::try_from(tag & 0x7f).unwrap() | 0x80;
        [&[low, u8::try_from(tag >> 7).unwrap(), u8::try_from(value.len()).unwrap()], value].concat()
    };
    for (wire, expected) in [
        (long(18, &number(5, 1)), json!({"children": [{"anInt32": 1}]})),
        (long(19, &pair("k", bytes(2, "v"))), json!({"byName": {"k": "v"}})),
        (long(19, &[]), json!({"byName": {"": ""}})),
        (
            [long(19, &pair("k", bytes(2, "v"))), long(19, &pair("k", bytes(2, "w")))].concat(),
            json!({"byName": {"k": "w"}}),
        ),
        (long(20, &pair("k", vec![])), json!({"messages": {"k": {}}})),
        (long(21, b"x"), json!({"left": "x"})),
        (long(21, b""), json!({"left": ""})),
        ([long(21, b"x"), vec![0xb0, 0x01, 0]].concat(), json!({"right": 0})),
        ([vec![0xb0, 0x01, 5], long(21, b"x")].concat(), json!({"left": "x"})),
        (long(23, &instant(1_773_842_531, 500_000_000)), json!({"at": "2026-03-18T14:02:11.500Z"})),
        (long(23, &instant(-62_135_596_800, 1)), json!({"at": "0001-01-01T00:00:00.000000001Z"})),
        (long(24, &instant(3, 0)), json!({"span": "3s"})),
        (long(24, &instant(0, (-1_500_000_i64).cast_unsigned())), json!({"span": "-0.001500s"})),
        (long(25, &[bytes(1, "a_b.c_d"), bytes(1, "e")].concat()), json!({"mask": "aB.cD,e"})),
        (long(26, &bytes(1, pair("k", text("v")))), json!({"free": {"k": "v"}})),
        (long(27, &number(1, 5)), json!({"boxed": "5"})),
        (long(27, &[]), json!({"boxed": "0"})),
        (long(29, &[]), json!({"nothing": {}})),
        (long(99, b"unknown"), json!({})),
        // Another wire type than the field's: as good as unknown.
        (vec![0x48, 1], json!({})),
    ] {
        assert_eq!(all.decode("demo.All", &wire, LIMITS), Ok(expected), "{wire:?}");
    }
    let old = |wire: Vec<u8>| all.decode("demo.Old", &wire, LIMITS);
    assert_eq!(old([number(1, 0), number(2, 0)].concat()), Ok(json!({"must": 0, "may": 0})));
    assert_eq!(
        old([number(1, 1), vec![0x1b, 0x08, 2, 0x1c]].concat()),
        Ok(json!({"must": 1, "group": {"must": 2}}))
    );
    assert_eq!(old(vec![]), Err(MessageError::Malformed), "a required field is missing");
    // What is within a message is refused with it.
    for wire in [
        bytes(9, [0xff]),
        long(23, &instant(253_402_300_800, 0)),
        long(23, &instant(0, 1_000_000_000)),
        long(24, &instant(-1, 1)),
        long(25, &bytes(1, "aB")),
        long(26, &bytes(1, pair("k", bytes(2, [])))),
        long(28, &bytes(1, "type.googleapis.com/demo.All")),
        vec![0x0a],
    ] {
        assert_eq!(all.decode("demo.All", &wire, LIMITS), Err(MessageError::Malformed), "{wire:?}");
    }
}

#[test]
fn depth_and_number_of_values_are_bounded() {
    let all = descriptors();
    let deep = |levels| (0..levels).fold(Vec::new(), |inner, _| bytes(11, inner));
    assert_eq!(all.decode("demo.All", &deep(7), LIMITS).map(drop), Ok(()));
    let limit = LIMITS.depth;
    assert_eq!(all.decode("demo.All", &deep(8), LIMITS), Err(MessageError::TooDeep { limit }));
    assert_eq!(all.decode("demo.All", &deep(60), LIMITS), Err(MessageError::TooDeep { limit }));
    let limit = LIMITS.values;
    for many in
        [number(5, 1).repeat(41), [&[0x82, 0x01, 60][..], &[1; 60]].concat(), [0xf8, 0x06, 0].repeat(41)]
    {
        assert_eq!(all.decode("demo.All", &many, LIMITS), Err(MessageError::TooMany { limit }));
    }
    let nested = (0..40).fold(bytes(3, number(1, 1)), |inner, _| bytes(2, bytes(6, bytes(1, inner))));
    assert!(structure(&bytes(1, [bytes(1, "k"), nested].concat()), LIMITS).is_err());
}

#[test]
fn sets_that_are_not_taken() {
    let unknown = message("M", &[field("a", 1, 1, 11, ".p.None")]);
    let deep = (0..40).fold(message("M", &[]), |inner, _| message("M", &[bytes(3, inner)]));
    for (set, expected) in [
        (vec![0x0a], "not a FileDescriptorSet"),
        (b"# proto file".to_vec(), "not a FileDescriptorSet"),
        (
            file("f", "p", "proto3", &[bytes(4, unknown)]),
            "\"p.None\" is not in the set: make it with --include_imports",
        ),
        (
            file("f", "p", "editions", &[]),
            "the file \"f\" has the syntax \"editions\"; proto2 and proto3 are read",
        ),
        (file("f", "p", "proto3", &[bytes(4, deep)]), "not a FileDescriptorSet"),
        (
            file("f", "p", "proto3", &[bytes(4, message("M", &[field("a", 1, 1, 99, "")]))]),
            "not a FileDescriptorSet",
        ),
    ] {
        assert_eq!(Descriptors::parse(&set).unwrap_err().to_string(), expected);
    }
}

/// Every prefix of a set and of a message, and every byte of them changed: an answer.
#[test]
fn damage_is_answered() {
    let (set, all) = (set(), descriptors());
    for end in 0..set.len() {
        let _ = Descriptors::parse(&set[..end]);
    }
    for at in 0..set.len() {
        let mut damaged = set.clone();
        damaged[at] ^= 0x55;
        let _ = Descriptors::parse(&damaged);
    }
    let whole = [bytes(11, [number(5, 1), bytes(9, "x")].concat()), bytes(12, "y"), number(14, 1)].concat();
    for at in 0..whole.len() {
        for byte in 0..=255 {
            let mut damaged = whole.clone();
            damaged[at] = byte;
            let _ = all.decode("demo.All", &damaged, LIMITS);
        }
    }
}
