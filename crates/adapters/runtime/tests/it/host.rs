//! Calls on a host: batches give each caller its own rows, a tenant keeps to its share, a model that hangs
//! is bounded.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use kernel::TenantId;
use runtime::embedded::Embedded;
use runtime::host::{Batching, Host, HostSettings, Serving};
use runtime::port::Description;
use runtime::{
    Budget, Dim, LoadLimits, Runtime, RuntimeError, Session, Signature, Tensor, TensorData,
    TensorKind, TensorSpec,
};
use uuid::Uuid;

use super::cases;

/// Adds one to each number; what else it does is set.
struct Stub {
    signature: Signature,
    /// How many runs go on now, and how many did at most.
    running: AtomicUsize,
    most: AtomicUsize,
    batches: AtomicUsize,
    wait: Duration,
    /// Hangs on negative numbers until told to stop, or, where deaf, until released.
    deaf: bool,
    released: AtomicBool,
    /// Answers one row whatever came.
    mixes: bool,
}

fn stub() -> Stub {
    let spec = |name: &str| TensorSpec {
        name: name.to_owned(),
        kind: TensorKind::F32,
        shape: Some(vec![Dim::Dynamic("n".to_owned()), Dim::Fixed(1)]),
    };
    Stub {
        signature: Signature {
            inputs: vec![spec("X")],
            outputs: vec![spec("Y")],
        },
        running: AtomicUsize::new(0),
        most: AtomicUsize::new(0),
        batches: AtomicUsize::new(0),
        wait: Duration::ZERO,
        deaf: false,
        released: AtomicBool::new(false),
        mixes: false,
    }
}

impl Session for Stub {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn describe(&self) -> Description {
        Description {
            engine: "a stub".to_owned(),
            because: "of the test".to_owned(),
        }
    }

    fn run(&self, inputs: Vec<Tensor>, budget: &Budget) -> Result<Vec<Tensor>, RuntimeError> {
        let now = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        self.batches.fetch_add(1, Ordering::SeqCst);
        let TensorData::F32(values) = inputs[0].data() else {
            panic!("floats");
        };
        std::thread::sleep(self.wait);
        if values.contains(&-1.0) {
            while !self.released.load(Ordering::SeqCst) && (self.deaf || !budget.is_stopped()) {
                std::thread::sleep(Duration::from_millis(2));
            }
        }
        self.running.fetch_sub(1, Ordering::SeqCst);
        assert!(!values.contains(&-2.0), "told to panic");
        if values.contains(&-3.0) {
            return Err(RuntimeError::Corrupt("a bad row".to_owned()));
        }
        let mut made: Vec<f32> = values.iter().map(|v| v + 1.0).collect();
        if self.mixes {
            made.truncate(1);
        }
        Ok(vec![
            Tensor::new("Y", vec![made.len(), 1], TensorData::F32(made)).unwrap(),
        ])
    }
}

fn tenant(number: u128) -> TenantId {
    TenantId::from_uuid(Uuid::from_u128(number))
}

fn one(value: f32) -> Vec<Tensor> {
    vec![Tensor::new("X", vec![1, 1], TensorData::F32(vec![value])).unwrap()]
}

fn floats(tensors: &[Tensor]) -> Vec<f32> {
    match tensors[0].data() {
        TensorData::F32(values) => values.clone(),
        _ => panic!("floats"),
    }
}

fn serving(deadline: Duration) -> Serving {
    Serving {
        deadline,
        batching: Batching::default(),
    }
}

const LONG: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn waiting_calls_become_one_batch_and_each_gets_its_rows() {
    let host = Arc::new(Host::start(HostSettings {
        workers: 1,
        ..HostSettings::default()
    }));
    let session = Arc::new(Stub {
        wait: Duration::from_millis(20),
        ..stub()
    });
    let model = host
        .admit(tenant(1), session.clone(), serving(LONG))
        .await
        .unwrap();
    let calls = (0_u16..100).map(|i| {
        let (host, model) = (Arc::clone(&host), Arc::clone(&model));
        tokio::spawn(async move {
            let made = host.call(&model, one(f32::from(i))).await.unwrap();
            assert_eq!(floats(&made), [f32::from(i) + 1.0]);
        })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.unwrap();
    }
    let batches = session.batches.load(Ordering::SeqCst);
    assert!(batches < 20, "{batches} runs for 101 calls");
    let counts = model.counts();
    assert_eq!((counts.answered, counts.shed, counts.late), (101, 0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_call_spoils_no_other() {
    let host = Arc::new(Host::start(HostSettings {
        workers: 1,
        ..HostSettings::default()
    }));
    for bad in [-2.0, -3.0] {
        let session = Arc::new(Stub {
            wait: Duration::from_millis(10),
            ..stub()
        });
        let model = host.admit(tenant(1), session, serving(LONG)).await.unwrap();
        let values = [1.0, 2.0, bad, 3.0, 4.0];
        let calls = values.map(|value| {
            let (host, model) = (Arc::clone(&host), Arc::clone(&model));
            tokio::spawn(async move { host.call(&model, one(value)).await })
        });
        for (value, call) in values.into_iter().zip(calls) {
            let made = call.await.unwrap();
            if value > 0.0 {
                assert_eq!(floats(&made.unwrap()), [value + 1.0]);
            } else {
                assert!(made.is_err());
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_mixes_rows_is_joined_no_more() {
    let host = Arc::new(Host::start(HostSettings {
        workers: 1,
        ..HostSettings::default()
    }));
    let session = Arc::new(Stub {
        mixes: true,
        wait: Duration::from_millis(10),
        ..stub()
    });
    let model = host.admit(tenant(1), session, serving(LONG)).await.unwrap();
    let calls = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0].map(|value| {
        let (host, model) = (Arc::clone(&host), Arc::clone(&model));
        tokio::spawn(async move {
            let made = host.call(&model, one(value)).await.unwrap();
            assert_eq!(floats(&made), [value + 1.0]);
        })
    });
    for call in calls {
        call.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lone_call_waits_for_company_no_longer_than_it_may() {
    let host = Host::start(HostSettings::default());
    let serving = Serving {
        deadline: LONG,
        batching: Batching {
            max_rows: 64,
            max_wait: Duration::from_millis(30),
        },
    };
    let model = host
        .admit(tenant(1), Arc::new(stub()), serving)
        .await
        .unwrap();
    let made = tokio::time::timeout(Duration::from_secs(5), host.call(&model, one(1.0))).await;
    assert_eq!(floats(&made.unwrap().unwrap()), [2.0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_past_its_deadline_is_answered_and_its_worker_replaced() {
    let host = Host::start(HostSettings {
        workers: 1,
        tenant_workers: 1,
        tenant_waiting: 8,
        hanging: 2,
    });
    let session = Arc::new(Stub {
        deaf: true,
        ..stub()
    });
    let limit = Duration::from_millis(200);
    let model = host
        .admit(tenant(1), session.clone(), serving(limit))
        .await
        .unwrap();
    for hanging in 1..=2 {
        let error = host.call(&model, one(-1.0)).await.unwrap_err();
        assert_eq!(error, RuntimeError::Deadline { limit_ms: 200 });
        assert_eq!(model.counts().hanging, hanging);
    }
    let error = host.call(&model, one(1.0)).await.unwrap_err();
    assert_eq!(error, RuntimeError::Quarantined { workers: 2 });
    // Another model on the same host is answered: both workers were replaced.
    let other = host
        .admit(tenant(2), Arc::new(stub()), serving(LONG))
        .await
        .unwrap();
    assert_eq!(floats(&host.call(&other, one(1.0)).await.unwrap()), [2.0]);
    // When the calls come back, the model is taken again.
    session.released.store(true, Ordering::SeqCst);
    for _ in 0..500 {
        if model.counts().hanging == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(model.counts().hanging, 0);
    assert_eq!(floats(&host.call(&model, one(1.0)).await.unwrap()), [2.0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_goes_away_takes_its_call_along() {
    let host = Arc::new(Host::start(HostSettings {
        workers: 1,
        ..HostSettings::default()
    }));
    let session = Arc::new(stub());
    let model = host
        .admit(tenant(1), session.clone(), serving(LONG))
        .await
        .unwrap();
    let hanging = {
        let (host, model) = (Arc::clone(&host), Arc::clone(&model));
        tokio::spawn(async move { host.call(&model, one(-1.0)).await })
    };
    while session.running.load(Ordering::SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let waiting = {
        let (host, model) = (Arc::clone(&host), Arc::clone(&model));
        tokio::spawn(async move { host.call(&model, one(1.0)).await })
    };
    while host.waiting() == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    waiting.abort();
    let _ = waiting.await;
    assert_eq!(host.waiting(), 0, "taken out of the queue");
    hanging.abort();
    let _ = hanging.await;
    // The stub listens: its run ends, and the host has a worker again.
    assert_eq!(floats(&host.call(&model, one(4.0)).await.unwrap()), [5.0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_tenant_cannot_starve_another() {
    let host = Arc::new(Host::start(HostSettings {
        workers: 2,
        tenant_workers: 1,
        tenant_waiting: 50,
        hanging: 2,
    }));
    let alone = Serving {
        deadline: LONG,
        batching: Batching {
            max_rows: 1,
            max_wait: Duration::ZERO,
        },
    };
    let slow = Arc::new(Stub {
        wait: Duration::from_millis(50),
        ..stub()
    });
    let greedy = host.admit(tenant(1), slow.clone(), alone).await.unwrap();
    let modest = host
        .admit(tenant(2), Arc::new(stub()), alone)
        .await
        .unwrap();
    let flood: Vec<_> = (0..60)
        .map(|_| {
            let (host, model) = (Arc::clone(&host), Arc::clone(&greedy));
            tokio::spawn(async move { host.call(&model, one(1.0)).await })
        })
        .collect();
    while host.waiting() < 40 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    // Behind forty calls of 50 ms each, the other tenant is answered at once.
    for _ in 0..10 {
        let made = tokio::time::timeout(Duration::from_secs(1), host.call(&modest, one(1.0))).await;
        assert!(
            made.is_ok_and(|made| made.is_ok()),
            "the other tenant waited a second"
        );
    }
    let mut shed = 0;
    for call in flood {
        match call.await.unwrap() {
            Ok(made) => assert_eq!(floats(&made), [2.0]),
            Err(RuntimeError::Overloaded { limit: 50, .. }) => shed += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(shed >= 1, "60 calls do not fit into 50 places");
    assert_eq!(greedy.counts().shed, shed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_model_answers_the_same_in_a_batch() {
    let case = cases::case("boosting");
    let session = Embedded.load(&case.model, &LoadLimits::default()).unwrap();
    let host = Arc::new(Host::start(HostSettings::default()));
    let model = host.admit(tenant(1), session, serving(LONG)).await.unwrap();
    let calls: Vec<_> = (0..32)
        .map(|_| {
            let (host, model) = (Arc::clone(&host), Arc::clone(&model));
            let inputs = case.inputs.clone();
            tokio::spawn(async move { host.call(&model, inputs).await.unwrap() })
        })
        .collect();
    for call in calls {
        let made = call.await.unwrap();
        assert_eq!(cases::difference(&case.expected, &made, 1e-5), None);
    }
}
