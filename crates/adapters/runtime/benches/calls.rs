//! What a call costs beside the bare ONNX Runtime in the same run: one row at a time, and 64 clients through
//! a host with batches. `cargo bench -p theriac-runtime -- /path/to/python/prefix`; without a prefix only the
//! built-in runtime is measured.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    reason = "a bench reads the time, prints, and fails by panicking"
)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use kernel::TenantId;
use runtime::embedded::Embedded;
use runtime::host::{Batching, Host, HostSettings, Serving};
use runtime::onnx_runtime::{OnnxRuntime, Search, Settings};
use runtime::{Budget, LoadLimits, Runtime, Session, Tensor, TensorData};

const CALLS: usize = 20_000;
const CLIENTS: usize = 64;
const MODELS: [&str; 3] = ["logistic", "network", "boosting"];

fn model(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models");
    std::fs::read(folder.join(format!("{name}.onnx"))).unwrap()
}

fn row() -> Vec<Tensor> {
    let values = (0_u8..30).map(f32::from).collect();
    vec![Tensor::new("X", vec![1, 30], TensorData::F32(values)).unwrap()]
}

/// Median and 99th percentile of single calls, in microseconds.
fn percentiles(mut each: impl FnMut()) -> (f64, f64) {
    for _ in 0..200 {
        each();
    }
    let mut times: Vec<Duration> = (0..CALLS)
        .map(|_| {
            let start = Instant::now();
            each();
            start.elapsed()
        })
        .collect();
    times.sort();
    let micros = |part: usize| times[times.len() * part / 100].as_secs_f64() * 1e6;
    (micros(50), micros(99))
}

/// The library without anything of ours: its own session, its own tensors.
fn bare(runtime: &OnnxRuntime, name: &str) -> (f64, f64) {
    let mut session = ort::session::Session::builder(runtime.environment())
        .unwrap()
        .with_intra_threads(1)
        .unwrap()
        .commit_from_memory(&model(name))
        .unwrap();
    let values: Vec<f32> = (0_u8..30).map(f32::from).collect();
    percentiles(|| {
        let input = ort::value::Tensor::from_array(([1_usize, 30], values.clone())).unwrap();
        let outputs = session.run(ort::inputs!["X" => input]).unwrap();
        std::hint::black_box(outputs.len());
    })
}

fn through(session: &dyn Session) -> (f64, f64) {
    percentiles(|| {
        std::hint::black_box(session.run(row(), &Budget::default()).unwrap());
    })
}

/// Calls per second of 64 clients, each waiting for its answer before the next call.
async fn crowd(session: Arc<dyn Session>, max_rows: usize) -> (f64, f64) {
    let host = Arc::new(Host::start(HostSettings {
        workers: 1,
        ..HostSettings::default()
    }));
    let serving = Serving {
        deadline: Duration::from_secs(10),
        batching: Batching {
            max_rows,
            max_wait: Duration::ZERO,
        },
    };
    let tenant = TenantId::from_uuid(uuid::Uuid::from_u128(1));
    let model = host.admit(tenant, session, serving).await.unwrap();
    let start = Instant::now();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (host, model) = (Arc::clone(&host), Arc::clone(&model));
            tokio::spawn(async move {
                for _ in 0..CALLS / CLIENTS {
                    host.call(&model, row()).await.unwrap();
                }
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
    let seconds = start.elapsed().as_secs_f64();
    let counts = model.counts();
    (
        (CALLS / CLIENTS * CLIENTS) as f64 / seconds,
        counts.answered as f64 / counts.runs as f64,
    )
}

fn main() {
    let prefix = std::env::args().skip(1).find(|word| word.starts_with('/'));
    let onnx_runtime = prefix.map(|prefix| {
        let search = Search {
            library: None,
            python_prefixes: vec![PathBuf::from(prefix)],
        };
        OnnxRuntime::open(&search, Settings::default()).unwrap()
    });
    let tokio = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .unwrap();
    for name in MODELS {
        let mut sessions = vec![(
            "built in",
            Embedded.load(&model(name), &LoadLimits::default()),
        )];
        if let Some(runtime) = &onnx_runtime {
            let (median, late) = bare(runtime, name);
            println!("{name}: bare ONNX Runtime, one row: p50 {median:.1} us, p99 {late:.1} us");
            sessions.push((
                "ONNX Runtime",
                runtime.load(&model(name), &LoadLimits::default()),
            ));
        }
        for (engine, session) in sessions {
            let session = session.unwrap();
            let (median, late) = through(session.as_ref());
            println!("{name}: {engine}, one row: p50 {median:.1} us, p99 {late:.1} us");
            for max_rows in [1, 64] {
                let (rate, rows) = tokio.block_on(crowd(Arc::clone(&session), max_rows));
                println!(
                    "{name}: {engine}, {CLIENTS} clients, batches of up to {max_rows}: {rate:.0} calls/s, {rows:.1} calls a run"
                );
            }
        }
    }
}
