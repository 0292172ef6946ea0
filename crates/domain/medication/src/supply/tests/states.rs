//! States: those of the table and no other way; reports late, twice and in any order.

use super::*;

fn moved(id: &str, event: Event) -> Moved {
    Moved {
        id: id.to_owned(),
        event,
        at: at("2026-03-10T08:00:00Z"),
        by: Some(person()),
    }
}

/// A track that stands at a state, where its kind has a way to it.
pub(in crate::supply) fn standing(kind: Kind, state: State) -> Option<Track> {
    let mut reached = vec![Track::new(kind)];
    let mut place = 0;
    while let Some(track) = reached.get(place).cloned() {
        if track.state() == state {
            return Some(track);
        }
        for event in Event::ALL {
            let mut next = track.clone();
            let id = format!("e{}", track.trail().len());
            if next.take(moved(&id, *event)).is_ok()
                && !reached.iter().any(|own| own.state() == next.state())
            {
                reached.push(next);
            }
        }
        place += 1;
    }
    None
}

#[test]
fn every_state_and_event_is_in_the_table_or_refused() {
    for kind in [Kind::Repeat, Kind::Direct] {
        for state in State::ALL {
            let Some(track) = standing(kind, *state) else {
                assert_eq!((kind, *state), (Kind::Direct, State::Prescribed));
                continue;
            };
            for event in Event::ALL {
                let mut own = track.clone();
                let came = own.take(moved("new", *event));
                match state.after(*event, kind) {
                    Some(to) => assert_eq!(came, Ok(to)),
                    None => assert!(came.is_err() && own == track),
                }
            }
        }
    }
    let ends: Vec<&str> = State::ALL
        .iter()
        .filter(|own| own.is_final())
        .map(|own| own.code())
        .collect();
    assert_eq!(ends, ["reconciled", "rejected", "cancelled", "expired"]);
}

#[test]
fn nothing_is_sent_before_a_person_approved() {
    for (from, event, to, _) in TRANSITIONS {
        assert!(*to != State::Submitted || (*from, *event) == (State::Approved, Event::Submit));
        assert!(*to != State::Approved || *from == State::Draft);
    }
    let mut track = Track::new(Kind::Repeat);
    let nobody = Moved {
        by: None,
        ..moved("a", Event::Approve)
    };
    assert_eq!(track.take(nobody), Err(StateError::NoPerson));
    assert_eq!(track.state(), State::Draft);
}

#[test]
fn an_event_counts_once() {
    let mut track = standing(Kind::Direct, State::Approved).unwrap();
    let submit = moved("s", Event::Submit);
    assert_eq!(track.take(submit.clone()), Ok(State::Submitted));
    assert_eq!(track.take(submit), Ok(State::Submitted));
    let other = track.take(moved("t", Event::Submit));
    assert_eq!(other, Err(StateError::Already(State::Submitted)));
    let reused = track.take(moved("s", Event::Cancel));
    assert_eq!(reused, Err(StateError::Taken("s".to_owned())));
    let again = Track::restore(Kind::Direct, track.trail().to_vec()).unwrap();
    assert_eq!(again, track);
    assert!(Track::restore(Kind::Direct, track.trail()[1..].to_vec()).is_err());
}

#[test]
fn a_report_catches_up_and_an_old_one_changes_nothing() {
    use State as S;
    for (kind, from, reported, expected) in [
        (
            Kind::Repeat,
            S::Submitted,
            S::WithDispenser,
            Some(S::WithDispenser),
        ),
        (
            Kind::Direct,
            S::Submitted,
            S::Dispatched,
            Some(S::Dispatched),
        ),
        (
            Kind::Repeat,
            S::WithDispenser,
            S::Acknowledged,
            Some(S::WithDispenser),
        ),
        (
            Kind::Repeat,
            S::Dispatched,
            S::PartDispensed,
            Some(S::Dispatched),
        ),
        (Kind::Repeat, S::Owing, S::Dispatched, Some(S::Dispatched)),
        (
            Kind::Repeat,
            S::Reconciled,
            S::Dispatched,
            Some(S::Reconciled),
        ),
        (Kind::Repeat, S::Submitted, S::Rejected, Some(S::Rejected)),
        (Kind::Repeat, S::Prescribed, S::Expired, Some(S::Expired)),
        // Not known to have been sent, called off, or not of this kind.
        (Kind::Repeat, S::Draft, S::Acknowledged, None),
        (Kind::Repeat, S::Cancelled, S::WithDispenser, None),
        (Kind::Direct, S::Acknowledged, S::Prescribed, None),
        (Kind::Repeat, S::Submitted, S::Received, None),
        (Kind::Repeat, S::Received, S::Cancelled, None),
    ] {
        let mut track = standing(kind, from).unwrap();
        let before = track.clone();
        let now = at("2026-03-11T08:00:00Z");
        let came = track.report("hook-7", reported, now).ok();
        assert_eq!(came, expected, "{kind:?} {from:?} {reported:?}");
        if came.is_none() {
            assert_eq!(track, before);
        }
        // The same report again.
        let after = track.clone();
        assert_eq!(track.report("hook-7", reported, now).ok(), expected);
        assert_eq!(track, after);
    }
}

#[test]
fn items_say_where_an_order_stands() {
    use Dispensed as D;
    for (items, expected) in [
        (&[][..], None),
        (&[D::Fully, D::Fully], Some(State::Dispatched)),
        (&[D::Fully, D::Owing], Some(State::Owing)),
        (&[D::Fully, D::ToBe], Some(State::PartDispensed)),
        (&[D::Partially, D::Fully], Some(State::PartDispensed)),
        (&[D::ToBe, D::WithDispenser], Some(State::WithDispenser)),
        (&[D::Fully, D::Cancelled], Some(State::Dispatched)),
        (&[D::Cancelled, D::Cancelled], Some(State::Cancelled)),
        (&[D::Expired, D::Cancelled], Some(State::Expired)),
        (&[D::Not], Some(State::Rejected)),
    ] {
        assert_eq!(of_items(items), expected, "{items:?}");
    }
    for own in Dispensed::ALL {
        assert_eq!(Dispensed::of(own.code()), Some(*own));
        assert!(of_items(&[*own]).is_some());
    }
    assert_eq!(Dispensed::of("0009"), None);
}
