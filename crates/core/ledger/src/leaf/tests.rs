//! The leaf's text: one form, nothing else accepted.

use proptest::prelude::*;

use super::*;

pub(crate) fn full() -> Leaf {
    Leaf {
        id: Uuid::from_u128(0x018f_2c3e_7b1a_7c3d_9e4f_0123_4567_89ab),
        time: Timestamp::from_micros(1_772_698_150_123_456),
        writer: Uuid::from_u128(0xa1),
        counter: 42,
        class: Class::Update,
        outcome: Outcome::Success,
        actor: Pseudonym([0xab; 16]),
        subject: Some(Hash([1; 32])),
        resource: Some(Hash([2; 32])),
        payload: Some(Hash([3; 32])),
        key: Some(KeyId([4; 16])),
        reason: Some("data-entry.error_1".to_owned()),
        prior: Some(Uuid::from_u128(5)),
        erased: Some(KeyId([6; 16])),
        mark: Some(Mark {
            origin: "a.example/x".to_owned(),
            size: 0,
            root: Hash([7; 32]),
        }),
        gap: Some(Gap {
            writer: Uuid::from_u128(8),
            from: 0,
            to: MAX_INTEGER,
        }),
    }
}

pub(crate) fn least() -> Leaf {
    Leaf {
        subject: None,
        resource: None,
        payload: None,
        key: None,
        reason: None,
        prior: None,
        erased: None,
        mark: None,
        gap: None,
        ..full()
    }
}

#[test]
fn the_canonical_text() {
    let text = |leaf: Leaf| String::from_utf8(leaf.to_bytes().unwrap()).unwrap();
    insta::assert_snapshot!(text(least()), @r#"{"actor":"abababababababababababababababab","class":"update","id":"018f2c3e-7b1a-7c3d-9e4f-0123456789ab","n":42,"outcome":"success","t":1772698150123456,"v":1,"w":"00000000-0000-0000-0000-0000000000a1"}"#);
    insta::assert_snapshot!(text(full()), @r#"{"actor":"abababababababababababababababab","class":"update","erased":"06060606060606060606060606060606","gap_from":0,"gap_to":9007199254740991,"gap_w":"00000000-0000-0000-0000-000000000008","id":"018f2c3e-7b1a-7c3d-9e4f-0123456789ab","kid":"04040404040404040404040404040404","n":42,"of":"a.example/x","of_root":"0707070707070707070707070707070707070707070707070707070707070707","of_size":0,"outcome":"success","pc":"0303030303030303030303030303030303030303030303030303030303030303","prior":"00000000-0000-0000-0000-000000000005","reason":"data-entry.error_1","res":"0202020202020202020202020202020202020202020202020202020202020202","subj":"0101010101010101010101010101010101010101010101010101010101010101","t":1772698150123456,"v":1,"w":"00000000-0000-0000-0000-0000000000a1"}"#);
}

/// Canonical by an independent rule: sorted keys, compact, as a general JSON library prints it.
#[test]
fn the_text_is_rfc_8785() {
    for leaf in [full(), least()] {
        let bytes = leaf.to_bytes().unwrap();
        let value: std::collections::BTreeMap<String, serde_json::Value> =
            serde_json::from_slice(&bytes).unwrap();
        assert!(value.values().all(|v| v.is_string() || v.is_u64()));
        assert_eq!(serde_json::to_vec(&value).unwrap(), bytes);
    }
}

#[test]
fn fields_outside_their_range_are_refused() {
    let bad: [fn(&mut Leaf); 11] = [
        |l| l.counter = MAX_INTEGER + 1,
        |l| l.time = Timestamp::from_micros(-1),
        |l| l.time = Timestamp::from_micros(i64::MAX),
        |l| l.reason = Some(String::new()),
        |l| l.reason = Some("a\"b".to_owned()),
        |l| l.reason = Some("x".repeat(65)),
        |l| l.payload = None,
        |l| l.key = None,
        |l| l.mark.as_mut().unwrap().origin = "a b".to_owned(),
        |l| l.mark.as_mut().unwrap().origin = "x".repeat(201),
        |l| l.gap.as_mut().unwrap().to = MAX_INTEGER + 1,
    ];
    for (number, change) in bad.into_iter().enumerate() {
        let mut leaf = full();
        change(&mut leaf);
        assert!(leaf.to_bytes().is_err(), "case {number}");
    }
    let mut longest = full();
    longest.reason = Some("x".repeat(64));
    longest.mark.as_mut().unwrap().origin = "x".repeat(200);
    assert!(longest.to_bytes().unwrap().len() < MAX_LEAF_BYTES);
}

#[test]
fn other_texts_are_refused() {
    let good = String::from_utf8(full().to_bytes().unwrap()).unwrap();
    let bad = [
        good.replace("\"n\":42", "\"n\":042"),
        good.replace("\"n\":42", "\"n\":42.0"),
        good.replace("\"n\":42", "\"n\": 42"),
        good.replace("\"n\":42", "\"n\":-42"),
        good.replace("\"n\":42", "\"n\":\"42\""),
        good.replace("\"n\":42", "\"n\":9007199254740992"),
        good.replace("\"n\":42", "\"n\":99999999999999999999"),
        good.replace("abab", "ABAB"),
        good.replace("update", "upd\\u0061te"),
        good.replace("update", "unheard-of"),
        good.replace("\"v\":1", "\"v\":2"),
        good.replace("{\"actor\"", "{ \"actor\""),
        good.replace("\"class\"", "\"klass\""),
        good.replace(",\"n\":42", ",\"n\":42,\"n\":42"),
        good.replace("\"}", "\",\"x\":1}"),
        good.replace("data-entry", "data entry"),
        format!("{good}\n"),
        good[..good.len() - 1].to_owned(),
        String::new(),
        "{}".to_owned(),
        " ".repeat(MAX_LEAF_BYTES + 1),
    ];
    for text in bad {
        assert_ne!(text, good);
        assert!(Leaf::parse(text.as_bytes()).is_err(), "{text}");
    }
}

/// Not a benchmark: a guard against a slip of an order of magnitude, so generous that no machine trips it.
#[test]
fn writing_allocates_nothing_into_a_kept_buffer() {
    let mut buffer = Vec::with_capacity(MAX_LEAF_BYTES);
    let place = buffer.as_ptr();
    for _ in 0..3 {
        buffer.clear();
        full().write(&mut buffer).unwrap();
    }
    assert_eq!(buffer.as_ptr(), place);
}

prop_compose! {
    fn any_leaf()(
        ids in any::<[u128; 3]>(), counter in 0..=MAX_INTEGER, time in 0..=MAX_INTEGER as i64,
        class in proptest::sample::select(Class::ALL), outcome in proptest::sample::select(Outcome::ALL),
        actor: [u8; 16], subject: Option<[u8; 32]>, resource: Option<[u8; 32]>, sealed: Option<([u8; 32], [u8; 16])>,
        reason in proptest::option::of("[A-Za-z0-9._-]{1,64}"), with_prior: bool, erased: Option<[u8; 16]>,
        mark in proptest::option::of(("[!#-*,-\\[\\]-~]{1,200}", 0..=MAX_INTEGER, any::<[u8; 32]>())),
        gap in proptest::option::of((any::<u128>(), 0..=MAX_INTEGER, 0..=MAX_INTEGER)),
    ) -> Leaf {
        Leaf {
            id: Uuid::from_u128(ids[0]), time: Timestamp::from_micros(time), writer: Uuid::from_u128(ids[1]), counter,
            class, outcome, actor: Pseudonym(actor), subject: subject.map(Hash), resource: resource.map(Hash),
            payload: sealed.map(|s| Hash(s.0)), key: sealed.map(|s| KeyId(s.1)), reason,
            prior: with_prior.then(|| Uuid::from_u128(ids[2])), erased: erased.map(KeyId),
            mark: mark.map(|(origin, size, root)| Mark { origin, size, root: Hash(root) }),
            gap: gap.map(|(writer, from, to)| Gap { writer: Uuid::from_u128(writer), from, to }),
        }
    }
}

proptest! {
    #[test]
    fn every_leaf_reads_back(leaf in any_leaf()) {
        assert_eq!(Leaf::parse(&leaf.to_bytes().unwrap()), Ok(leaf));
    }
    /// Whatever is accepted is written back byte for byte: no leaf has two texts.
    #[test]
    fn what_is_read_is_canonical(leaf in any_leaf(), at: proptest::sample::Index, byte: u8, cut: bool) {
        let mut bytes = leaf.to_bytes().unwrap();
        if cut { bytes.remove(at.index(bytes.len())); } else { *at.get_mut(&mut bytes) = byte; }
        if let Ok(read) = Leaf::parse(&bytes) {
            assert_eq!(read.to_bytes().unwrap(), bytes);
        }
    }
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        assert!(Leaf::parse(&bytes).is_err());
    }
}
