//! Tests of the archive: what is written is read, and every way to hide, swell or double a member is refused.

use proptest::prelude::*;

use super::*;

fn member(name: &str, bytes: &[u8]) -> Member {
    Member {
        name: name.to_owned(),
        bytes: bytes.to_vec(),
    }
}

fn archive() -> Vec<u8> {
    let members = [
        member("manifest.toml", &b"schema = 1\n".repeat(50)),
        member("model.onnx", &[7, 1, 9, 200, 3]),
    ];
    write(&members, &Limits::default()).unwrap()
}

#[test]
fn what_is_written_is_read() {
    let members = read(&archive(), &Limits::default()).unwrap();
    let names: Vec<&str> = members.iter().map(|m| m.name.as_str()).collect();
    assert_eq!(names, ["manifest.toml", "model.onnx"]);
    assert_eq!(members[0].bytes.len(), 550);
    assert_eq!(members[1].bytes, [7, 1, 9, 200, 3]);
    assert_eq!(archive(), archive(), "equal members make equal bytes");
}

/// A zip file made by Python's zipfile module.
#[test]
fn archives_of_python_are_read() {
    let hex = "504b030414000000080000002100dd20303b10000000dc0000000a0000006d6f64656c2e6f6e6e78\
        cb48cdc9c95728cf2fca49c9186e4c00504b0102140314000000080000002100dd20303b10000000dc0000000a\
        00000000000000000000008001000000006d6f64656c2e6f6e6e78504b05060000000001000100380000003800\
        00000000";
    let bytes: Vec<u8> = (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect();
    let members = read(&bytes, &Limits::default()).unwrap();
    assert_eq!(members, [member("model.onnx", &b"hello world".repeat(20))]);
}

fn refused(bytes: &[u8]) -> ArchiveError {
    read(bytes, &Limits::default()).unwrap_err()
}

#[test]
fn nothing_hides_before_between_or_after() {
    let plain = archive();
    assert!(matches!(
        refused(&[b"x", plain.as_slice()].concat()),
        ArchiveError::Format(_)
    ));
    assert!(matches!(
        refused(&[plain.as_slice(), b"x"].concat()),
        ArchiveError::Format(_)
    ));
    assert!(matches!(
        refused(&plain[..plain.len() - 1]),
        ArchiveError::Format(_)
    ));
    assert!(matches!(refused(b""), ArchiveError::Format(_)));
    // The directory lists one of two.
    let mut fewer = plain.clone();
    let end = fewer.len() - 22;
    fewer[end + 8] = 1;
    fewer[end + 10] = 1;
    assert!(matches!(refused(&fewer), ArchiveError::Format(_)));
}

#[test]
fn doubles_and_paths_are_refused() {
    let twice = [member("a", b"1"), member("a", b"2")];
    assert_eq!(
        write(&twice, &Limits::default()),
        Err(ArchiveError::Twice("a".into()))
    );
    let plain = write(&[member("a", b"1"), member("b", b"2")], &Limits::default()).unwrap();
    let doubled: Vec<u8> = plain
        .iter()
        .map(|b| if *b == b'b' { b'a' } else { *b })
        .collect();
    assert_eq!(refused(&doubled), ArchiveError::Twice("a".into()));
    for name in [
        "../a", "/a", "a/b", "A", "a b", ".a", "", "a\u{0}", "\u{e4}", "c:a", "a\\b",
    ] {
        let written = write(&[member(name, b"1")], &Limits::default());
        assert_eq!(written, Err(ArchiveError::Name(name.to_owned())), "{name}");
    }
}

#[test]
fn a_byte_changed_is_found() {
    let plain = archive();
    let right = read(&plain, &Limits::default()).unwrap();
    for place in 0..plain.len() {
        let mut changed = plain.clone();
        changed[place] ^= 0x41;
        if let Ok(members) = read(&changed, &Limits::default()) {
            assert_eq!(
                members, right,
                "a changed byte at {place} changed what was read"
            );
        }
    }
}

#[test]
fn bombs_are_refused_before_they_swell() {
    let limits = Limits {
        members: 2,
        member_bytes: 4 * MEBIBYTE,
        total_bytes: 6 * MEBIBYTE,
        ratio: 50,
    };
    let zeros = vec![0_u8; 3 * MEBIBYTE];
    // The writer stores what would look like a bomb.
    let stored = write(&[member("a", &zeros)], &limits).unwrap();
    assert!(stored.len() > 3 * MEBIBYTE && read(&stored, &limits).is_ok());
    let generous = Limits {
        ratio: usize::MAX,
        ..Limits::default()
    };
    let bomb = write(&[member("a", &zeros)], &generous).unwrap();
    assert!(bomb.len() < 5_000 && read(&bomb, &generous).is_ok());
    let large = |what| move |error: ArchiveError| matches!(error, ArchiveError::TooLarge { what: w, .. } if w == what);
    let factor = "a member that inflates by a factor of";
    assert!(large(factor)(read(&bomb, &limits).unwrap_err()));
    let long = write(&[member("a", &vec![3; 5 * MEBIBYTE])], &generous).unwrap();
    assert!(large("bytes in a member")(
        read(&long, &limits).unwrap_err()
    ));
    let three = [member("a", b""), member("b", b""), member("c", b"")];
    let three = write(&three, &generous).unwrap();
    assert!(large("members")(read(&three, &limits).unwrap_err()));
    let wide = Limits {
        ratio: usize::MAX,
        ..limits
    };
    let both = [
        member("a", &vec![1; 4 * MEBIBYTE]),
        member("b", &vec![2; 4 * MEBIBYTE]),
    ];
    let both = write(&both, &generous).unwrap();
    assert!(large("bytes")(read(&both, &wide).unwrap_err()));
    // A size that is said smaller than what the data inflates to.
    let mut liar = bomb;
    let header = liar
        .windows(4)
        .position(|w| w == (3 * MEBIBYTE as u32).to_le_bytes())
        .unwrap();
    liar[header + 1] = 1;
    assert!(read(&liar, &wide).is_err());
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(&bytes, &Limits::default());
    }

    #[test]
    fn any_members_come_back(
        contents in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..6),
    ) {
        let members: Vec<Member> = contents
            .iter()
            .enumerate()
            .map(|(place, bytes)| member(&format!("m{place}"), bytes))
            .collect();
        let file = write(&members, &Limits::default()).unwrap();
        prop_assert_eq!(read(&file, &Limits::default()).unwrap(), members);
    }
}
