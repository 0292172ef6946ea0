//! Exports, verification and backups from outside: what was changed is noticed, what is kept comes back.

#![expect(clippy::too_many_lines, reason = "tests tell their story in one piece")]

use std::path::Path;

use crate::place::{Place, bundles, fails, find, ok, run, total};

#[test]
fn exports_verify_and_changed_ones_do_not() {
    let place = Place::new();
    let (data, source, export) = (place.at("data"), place.at("source"), place.at("ledger"));
    bundles(Path::new(&source), 2);
    ok(&["--data", &data, "-o", "json", "--quiet", "import", &source]);
    ok(&[
        "--data", &data, "-o", "json", "--quiet", "export", &export, "--ledger",
    ]);
    let sound = run(&["-o", "json", "--quiet", "verify", &export]);
    assert_eq!(
        sound.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&sound.stdout)
    );
    let entries = find(Path::new(&export), "main/changes/tile/entries");
    let mut bytes = std::fs::read(&entries).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&entries, &bytes).unwrap();
    let altered = run(&["-o", "json", "--quiet", "verify", &export]);
    assert_eq!(
        altered.status.code(),
        Some(1),
        "{}",
        String::from_utf8_lossy(&altered.stdout)
    );
    std::fs::remove_file(&entries).unwrap();
    assert_eq!(run(&["--quiet", "verify", &export]).status.code(), Some(2));
    let stranger = place.at("stranger");
    ok(&["--data", &stranger, "-o", "json", "--quiet", "init"]);
    ok(&[
        "--data", &stranger, "-o", "json", "--quiet", "tenant", "create", "main", "--name", "Main",
    ]);
    let theirs = place.at("theirs");
    ok(&[
        "--data", &stranger, "-o", "json", "--quiet", "export", &theirs, "--ledger",
    ]);
    let policy = Path::new(&theirs).join("keys.txt").display().to_string();
    let fresh = place.at("fresh");
    ok(&[
        "--data", &data, "-o", "json", "--quiet", "export", &fresh, "--ledger",
    ]);
    assert_eq!(
        run(&["--quiet", "verify", &fresh, "--policy", &policy])
            .status
            .code(),
        Some(3)
    );
}

#[test]
fn backups_are_restored_whole_or_not_at_all() {
    let place = Place::new();
    let (data, source, file, phrase) = (
        place.at("data"),
        place.at("source"),
        place.at("b.backup"),
        place.at("phrase"),
    );
    bundles(Path::new(&source), 1);
    std::fs::write(&phrase, "seven otters in a canoe\n").unwrap();
    ok(&["--data", &data, "-o", "json", "--quiet", "import", &source]);
    let made = ok(&[
        "--data",
        &data,
        "-o",
        "json",
        "--quiet",
        "backup",
        &file,
        "--passphrase-file",
        &phrase,
    ]);
    assert!(made["entries"].as_u64().unwrap() > 20, "{made}");
    fails(
        &[
            "--data",
            &data,
            "backup",
            &file,
            "--passphrase-file",
            &phrase,
        ],
        5,
        "exists",
    );
    let restored = place.at("restored");
    ok(&[
        "--data",
        &restored,
        "-o",
        "json",
        "--quiet",
        "restore",
        &file,
        "--passphrase-file",
        &phrase,
    ]);
    let again = ok(&[
        "--data",
        &restored,
        "-o",
        "json",
        "--quiet",
        "import",
        &source,
        "--restart",
    ]);
    assert_eq!(
        (total(&again, "stored"), total(&again, "unchanged")),
        (0, 22)
    );
    fails(
        &[
            "--data",
            &restored,
            "restore",
            &file,
            "--passphrase-file",
            &phrase,
        ],
        5,
        "not empty",
    );
    let wrong = place.at("wrong");
    std::fs::write(&wrong, "eight otters").unwrap();
    fails(
        &[
            "--data",
            &place.at("r2"),
            "restore",
            &file,
            "--passphrase-file",
            &wrong,
        ],
        7,
        "pass phrase",
    );
    let mut bytes = std::fs::read(&file).unwrap();
    bytes.truncate(bytes.len() - 100);
    std::fs::write(&file, bytes).unwrap();
    fails(
        &[
            "--data",
            &place.at("r3"),
            "restore",
            &file,
            "--passphrase-file",
            &phrase,
        ],
        7,
        "cut off",
    );
    assert!(!Path::new(&place.at("r3")).exists());
}
