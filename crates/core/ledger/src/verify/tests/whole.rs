//! What holds logs together: counters, erased keys, epochs, the instance log, witnesses.

use super::*;

#[test]
fn a_checkpoint_that_the_instance_log_names_may_not_vanish() {
    let mut log = sound();
    let instance = instance_log(&[log.state(200), log.state(600)]);
    log.stored.remove(3);
    let report = judge(vec![log, instance.clone()], &[]);
    assert_eq!(
        summary(&report),
        (Verdict::Incomplete, Some(200)),
        "{:#?}",
        report.findings
    );
    let report = judge(vec![instance], &[]);
    assert_eq!(
        summary(&report),
        (Verdict::Incomplete, Some(0)),
        "the whole log is gone: {:#?}",
        report.findings
    );
    assert_eq!(judge(vec![], &[]).verdict(), Verdict::Incomplete);
}

#[test]
fn dropped_counters_are_named_unless_explained() {
    let mut all = leaves();
    all.remove(399);
    let report = judge(vec![Kept::of(&origin(1, 1), &all, &signer(1))], &[]);
    assert_eq!(summary(&report), (Verdict::Incomplete, Some(399)));
    assert!(
        report.findings[0]
            .what
            .contains("counters 400 to 400 of writer 00000000-0000-0000-0000-00000000004d")
    );

    let mut explanation = blank(Class::Discontinuity, 1);
    explanation.writer = Uuid::from_u128(78);
    explanation.gap = Some(Gap {
        writer: Uuid::from_u128(77),
        from: 400,
        to: 400,
    });
    all.push(explanation);
    let report = judge(vec![Kept::of(&origin(1, 1), &all, &signer(1))], &[]);
    assert_eq!(
        (report.verdict(), report.findings.len()),
        (Verdict::Sound, 1),
        "a remark: {:#?}",
        report.findings
    );

    let mut twice = leaves();
    twice[10].counter = 10;
    let report = judge(vec![Kept::of(&origin(1, 1), &twice, &signer(1))], &[]);
    assert_eq!(summary(&report), (Verdict::Altered, Some(10)));
    let mut late = leaves();
    late.swap(10, 12);
    let mut late = Kept::of(&origin(1, 1), &late, &signer(1));
    late.payloads.swap(10, 10);
    assert_eq!(
        judge(vec![late], &[]).verdict(),
        Verdict::Sound,
        "sequencers may change the order"
    );
}

#[test]
fn erased_keys_excuse_absent_payloads_in_every_log() {
    let mut all = leaves();
    let mut erase = blank(Class::Erase, COUNT + 1);
    erase.erased = Some(key_of(4));
    all.push(erase.clone());
    let mut log = Kept::of(&origin(1, 1), &all, &signer(1));
    let shredded = |log: &mut Kept, digit: u64| {
        for n in (1..=COUNT).filter(|n| n % 10 == digit) {
            log.payloads[n as usize - 1] = None;
        }
    };
    shredded(&mut log, 4);
    let mut other = Kept::of(
        &origin(1, 1).replace("changes", "access"),
        &leaves(),
        &signer(1),
    );
    shredded(&mut other, 4);
    assert_eq!(
        judge(vec![other.clone(), log.clone()], &[]).findings,
        [],
        "the leaf stands in the other log"
    );
    shredded(&mut log, 5);
    let report = judge(vec![log, other], &[]);
    assert_eq!(summary(&report), (Verdict::Incomplete, Some(4)));
    assert_eq!(
        report.findings.len(),
        1,
        "one per key: {:#?}",
        report.findings
    );
    erase.outcome = Outcome::Denied;
    let mut refused = leaves();
    refused.push(erase);
    let mut refused = Kept::of(&origin(1, 1), &refused, &signer(1));
    shredded(&mut refused, 4);
    assert_eq!(
        judge(vec![refused], &[]).verdict(),
        Verdict::Incomplete,
        "a refused erasure excuses nothing"
    );
}

/// A second epoch after a restore that lost entries.
fn second_epoch(named: &Checkpoint, gap: Option<Gap>) -> Kept {
    let mut first = blank(Class::Epoch, 1);
    first.mark = Some(mark_of(named));
    first.gap = gap;
    Kept::of(&origin(1, 2), &[first, blank(Class::Create, 2)], &signer(1))
}

#[test]
fn epochs_hold_together() {
    let first = sound();
    let report = judge(
        vec![second_epoch(&first.state(COUNT), None), first.clone()],
        &[],
    );
    assert_eq!(report.findings, []);

    let mut restored = first.clone();
    restored.truncate(500);
    restored.sign(&signer(1));
    let published = first.state(COUNT);
    let report = judge(vec![restored.clone(), second_epoch(&published, None)], &[]);
    assert_eq!(summary(&report), (Verdict::Incomplete, Some(500)));
    let lost = Gap {
        writer: Uuid::nil(),
        from: 500,
        to: COUNT - 1,
    };
    let report = judge(
        vec![restored.clone(), second_epoch(&published, Some(lost))],
        std::slice::from_ref(&published),
    );
    assert_eq!(
        (report.verdict(), report.findings.len()),
        (Verdict::Sound, 1),
        "{:#?}",
        report.findings
    );
    let half = Gap {
        to: COUNT - 10,
        ..lost
    };
    let report = judge(vec![restored, second_epoch(&published, Some(half))], &[]);
    assert_eq!(
        summary(&report),
        (Verdict::Incomplete, Some(500)),
        "more is lost than is said"
    );

    let mut other = first.clone();
    other.edit(333);
    other.build_tiles();
    other.sign(&signer(1));
    let report = judge(vec![other, second_epoch(&published, None)], &[]);
    assert_eq!(report.verdict(), Verdict::Altered);
    let silent = Kept::of(&origin(1, 2), &[blank(Class::Create, 1)], &signer(1));
    assert_eq!(
        summary(&judge(vec![first, silent], &[])),
        (Verdict::Altered, Some(0))
    );
    let alone = second_epoch(&published, None);
    assert_eq!(
        judge(vec![alone], &[]).verdict(),
        Verdict::Incomplete,
        "the first epoch is not here"
    );
}

#[test]
fn quorums_are_asked_of_the_newest_checkpoint() {
    let policy = policy()
        .with_witnesses(vec![witness().verifier()], 1)
        .unwrap();
    let mut log = sound();
    assert_eq!(
        summary(&judge_under(&policy, vec![log.clone()], &[])),
        (Verdict::Untrusted, Some(COUNT))
    );
    let mut note = Note::parse(log.newest.as_deref().unwrap()).unwrap();
    note.cosign(&witness(), 1_772_698_150);
    log.newest = Some(note.to_string());
    assert_eq!(judge_under(&policy, vec![log], &[]).findings, []);
}

#[test]
fn many_findings_are_counted_and_the_worst_one_wins() {
    let mut log = sound();
    log.leaves
        .iter_mut()
        .step_by(2)
        .for_each(|leaf| leaf.push(b' '));
    log.payloads.fill(None);
    let report = judge(vec![log], &[]);
    assert_eq!(summary(&report), (Verdict::Altered, Some(0)));
    assert!(report.findings.len() + report.unlisted as usize >= 350);
}
