//! Exports, verification and backups from outside: what was changed is noticed, what is kept comes back.

#![expect(clippy::too_many_lines, reason = "tests tell their story in one piece")]

use std::path::Path;

use crate::place::{Place, bundles, fails, find, ok, record, run, total};

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

/// What `theriac verify` says of a folder: its exit code, the worst finding's log and index, and the text.
fn verified(data: &str) -> (Option<i32>, String, Option<u64>, String) {
    let json = run(&["-o", "json", "--quiet", "verify", data]);
    let report: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    let worst = report["findings"].as_array().unwrap().iter();
    let worst = worst
        .clone()
        .find(|one| one["verdict"] == report["verdict"]);
    let text = run(&["--quiet", "verify", data]);
    assert_eq!(text.status.code(), json.status.code());
    (
        json.status.code(),
        worst.map_or(String::new(), |one| one["log"].as_str().unwrap().to_owned()),
        worst.and_then(|one| one["index"].as_u64()),
        String::from_utf8(text.stdout).unwrap(),
    )
}

#[test]
fn a_data_folder_changed_behind_the_programs_back_is_found() {
    let place = Place::new();
    let (data, early, source) = (place.at("data"), place.at("early"), place.at("source"));
    bundles(Path::new(&source), 1);
    ok(&["--data", &data, "-o", "json", "--quiet", "import", &source]);
    let tenants = Path::new(&data).join("tenants");
    copy(&tenants, Path::new(&early));
    bundles(Path::new(&source), 3);
    ok(&["--data", &data, "-o", "json", "--quiet", "import", &source]);
    let (code, _, _, text) = verified(&data);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.trim_end().ends_with("sound"), "{text}");

    let record = record(&data);
    let whole = place.at("whole");
    copy(&tenants, Path::new(&whole));
    let entries = |path: &Path| -> u64 {
        let connection = rusqlite::Connection::open(path).unwrap();
        connection
            .query_row("SELECT count(*) FROM log_changes", [], |row| row.get(0))
            .unwrap()
    };
    let (size, before) = (entries(&record), {
        let early = Path::new(&early).join(record.strip_prefix(&tenants).unwrap());
        entries(&early)
    });
    assert!(before > 20 && size > before + 40, "{before} {size}");
    // The first import was of one bundle: its first version is its first entry.
    let first_change =
        "SELECT min(idx) FROM log_changes WHERE CAST(leaf AS TEXT) LIKE '%\"class\":\"create\"%'";
    let first_change: u64 = rusqlite::Connection::open(&record)
        .unwrap()
        .query_row(first_change, [], |row| row.get(0))
        .unwrap();
    let cases = [
        (
            "a payload edited",
            "UPDATE log_changes SET payload = CAST(substr(payload, 1, 40) || x'00' || substr(payload, 42) AS BLOB) WHERE idx = 5",
            (1, Some(5)),
        ),
        (
            "a version edited",
            "UPDATE ver SET body = CAST(substr(body, 1, length(body) - 1) || x'00' AS BLOB) WHERE vid = (SELECT min(vid) FROM ver)",
            (1, Some(first_change)),
        ),
        (
            "a version removed",
            "DELETE FROM ver WHERE vid = (SELECT min(vid) FROM ver)",
            (2, Some(first_change)),
        ),
        (
            "the log cut short",
            "DELETE FROM log_changes WHERE idx >= 30",
            (2, Some(30)),
        ),
        ("an older backup put back", "", (2, Some(before))),
    ];
    for (name, sql, (expected, index)) in cases {
        if sql.is_empty() {
            std::fs::remove_dir_all(&tenants).unwrap();
            copy(Path::new(&early), &tenants);
        } else {
            let connection = rusqlite::Connection::open(&record).unwrap();
            connection.execute_batch(sql).unwrap();
        }
        let (code, log, found, text) = verified(&data);
        assert_eq!((code, found), (Some(expected), index), "{name}: {text}");
        assert!(log.contains("/changes/"), "{name}: {log}");
        let shown = format!("{log} at {}: ", index.unwrap());
        assert!(text.contains(&shown), "{name}: {text}");
        // Looking changes nothing: the same is found again.
        assert_eq!(verified(&data).0, Some(expected), "{name}");
        std::fs::remove_dir_all(&tenants).unwrap();
        copy(Path::new(&whole), &tenants);
    }
    let (code, _, _, text) = verified(&data);
    assert_eq!(code, Some(0), "{text}");
    // An outsider's checkpoint finds what the folder alone cannot show.
    let export = place.at("ledger");
    ok(&[
        "--data", &data, "-o", "json", "--quiet", "export", &export, "--ledger",
    ]);
    let kept = Path::new(&export).join("main/changes/checkpoint");
    std::fs::remove_dir_all(&tenants).unwrap();
    copy(Path::new(&early), &tenants);
    std::fs::remove_dir_all(Path::new(&data).join("heads")).unwrap();
    assert_eq!(verified(&data).0, Some(0));
    let from = kept.display().to_string();
    let output = run(&["--quiet", "verify", &data, "--from", &from]);
    assert_eq!(output.status.code(), Some(2));
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(shown.contains(&format!(" at {before}: ")), "{shown}");
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for item in std::fs::read_dir(from).unwrap().flatten() {
        let target = to.join(item.file_name());
        if item.path().is_dir() {
            copy(&item.path(), &target);
        } else {
            std::fs::copy(item.path(), target).unwrap();
        }
    }
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

#[test]
fn a_restore_does_not_bring_the_erased_back() {
    let place = Place::new();
    let (data, file, phrase, source) = (
        place.at("apart/data"),
        place.at("b.backup"),
        place.at("phrase"),
        place.at("a.ndjson"),
    );
    let patients = ["p1", "p2"].map(|id| format!(r#"{{"resourceType":"Patient","id":"{id}"}}"#));
    std::fs::write(&source, patients.join("\n")).unwrap();
    std::fs::write(&phrase, "seven otters in a canoe").unwrap();
    ok(&["--data", &data, "-o", "json", "import", &source]);
    let backup = ["backup", &file, "--passphrase-file", &phrase];
    ok(&[&["--data", &data, "-o", "json"], &backup[..]].concat());
    let erase = [
        "erase",
        "--tenant",
        "main",
        "p1",
        "--reason",
        "asked",
        "--confirm",
    ];
    ok(&[&["--data", &data, "-o", "json"], &erase[..]].concat());
    let checkpoint = place.at("kept");
    ok(&[
        "--data",
        &data,
        "-o",
        "json",
        "export",
        &checkpoint,
        "--ledger",
    ]);
    let held = format!("{checkpoint}/main/changes/checkpoint");

    let restore = |folder: &str, more: &[&str]| {
        let flags = [
            "--data",
            folder,
            "-o",
            "json",
            "restore",
            &file,
            "--passphrase-file",
            &phrase,
        ];
        ok(&[&flags, more].concat())
    };
    let patients_of = |folder: &str| {
        let out = place.at(&format!("out-{}", folder.replace('/', "-")));
        ok(&[
            "--data", folder, "-o", "json", "export", &out, "--type", "Patient",
        ]);
        std::fs::read_to_string(Path::new(&out).join("Patient.ndjson")).unwrap()
    };
    // A list beside it, one named, and one in the folder itself.
    let list = Path::new(&data).join("erased.log");
    let (beside, named, itself) = (
        place.at("apart/new"),
        place.at("named"),
        place.at("itself/data"),
    );
    std::fs::create_dir_all(&itself).unwrap();
    std::fs::copy(&list, Path::new(&itself).join("erased.log")).unwrap();
    for (folder, more) in [
        (&beside, &[][..]),
        (&named, &["--erased", list.to_str().unwrap()][..]),
        (&itself, &[][..]),
    ] {
        let restored = restore(folder, more);
        assert_eq!(restored["erasures_added"], 1, "{folder}: {restored}");
        assert_eq!(restored["verification"]["verdict"], "sound", "{restored}");
        let left = patients_of(folder);
        assert!(
            left.contains("p2") && !left.contains("p1"),
            "{folder}: {left}"
        );
        // The entry that says so was written after the backup: that cannot be hidden.
        let output = run(&["-o", "json", "--quiet", "verify", folder]);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let findings = report["findings"].as_array().unwrap();
        assert_eq!(findings.len(), 1, "{report}");
        let output = run(&["--quiet", "verify", folder, "--from", &held]);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
    }
    // Without any list the patient is back, and it is said that none was found.
    let alone = place.at("alone/data");
    let output = run(&[
        "--data",
        &alone,
        "restore",
        &file,
        "--passphrase-file",
        &phrase,
    ]);
    assert!(output.status.success(), "{output:?}");
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("--erased FILE"),
        "{output:?}"
    );
    assert!(patients_of(&alone).contains("p1"));
    let wrong = ["--erased", &source];
    let flags = [
        "--data",
        &place.at("r9"),
        "restore",
        &file,
        "--passphrase-file",
        &phrase,
    ];
    fails(&[&flags[..], &wrong].concat(), 2, "no list of erasures");
    assert!(!Path::new(&place.at("r9")).exists());
}
