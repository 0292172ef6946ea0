//! The adapter for ONNX Runtime, whose shared library is loaded at run time: nothing is downloaded when
//! Theriac is built. A process loads one library and keeps it. Must not be reached by a model that the guard
//! refused.

mod convert;
mod find;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ort::environment::Environment;
use ort::session::{RunOptions, Session as OrtSession, builder::GraphOptimizationLevel};
use parking_lot::Mutex;

use crate::error::RuntimeError;
use crate::guard;
use crate::port::{Budget, CallLimits, Description, LoadLimits, Runtime, Session, Signature};
use crate::tensor::Tensor;
pub use find::Search;

const ENGINE: &str = "ONNX Runtime";
/// The oldest library that is taken: the version of the interface that is asked for.
const OLDEST: &str = "1.17";

/// Where a model's operators run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Provider {
    /// On the processor.
    #[default]
    Cpu,
    /// On a CUDA device, by number; the library must have been built with it.
    Cuda {
        /// Which device.
        device: i32,
        /// Bytes of its memory a session may take.
        memory_bytes: u64,
    },
}

/// How sessions are made.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where they run.
    pub provider: Provider,
    /// Threads of one session; 1 leaves the cores to other calls.
    pub threads: usize,
    /// Sessions of one model, hence calls at the same time. Each holds the weights.
    pub sessions: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            provider: Provider::Cpu,
            threads: 1,
            sessions: 1,
        }
    }
}

/// The loaded library.
struct Library {
    environment: Environment,
    path: PathBuf,
    version: String,
}

/// A process has one.
static LIBRARY: Mutex<Option<Arc<Library>>> = Mutex::new(None);

/// ONNX Runtime.
#[derive(Clone)]
pub struct OnnxRuntime {
    library: Arc<Library>,
    settings: Settings,
}

fn failed(detail: impl std::fmt::Display) -> RuntimeError {
    RuntimeError::Failed {
        engine: ENGINE.to_owned(),
        detail: detail.to_string(),
    }
}

impl OnnxRuntime {
    /// Finds and loads the library, or takes the one this process has loaded.
    pub fn open(search: &Search, settings: Settings) -> Result<Self, RuntimeError> {
        let mut loaded = LIBRARY.lock();
        let library = if let Some(library) = &*loaded {
            Arc::clone(library)
        } else {
            let library = Arc::new(load(search)?);
            *loaded = Some(Arc::clone(&library));
            library
        };
        let runtime = Self { library, settings };
        if let Provider::Cuda { .. } = runtime.settings.provider {
            runtime.builder()?; // a missing provider is known now, not at the first model
        }
        Ok(runtime)
    }

    /// The file that was loaded.
    #[must_use]
    pub fn path(&self) -> &std::path::Path {
        &self.library.path
    }

    /// The library's own environment, for what is measured beside this adapter: a process has one.
    #[must_use]
    pub fn environment(&self) -> &Environment {
        &self.library.environment
    }

    fn builder(&self) -> Result<ort::session::builder::SessionBuilder, RuntimeError> {
        let threads = self.settings.threads.max(1);
        let builder = OrtSession::builder(&self.library.environment)
            .map_err(failed)?
            .with_intra_threads(threads)
            .map_err(failed)?
            .with_inter_threads(1)
            .map_err(failed)?
            // A waiting thread sleeps: spinning would take the core of another model's call.
            .with_intra_op_spinning(false)
            .map_err(failed)?
            .with_optimization_level(GraphOptimizationLevel::All)
            .map_err(failed)?;
        let Provider::Cuda {
            device,
            memory_bytes,
        } = self.settings.provider
        else {
            return Ok(builder);
        };
        let cuda = ort::ep::CUDA::default()
            .with_device_id(device)
            .with_memory_limit(usize::try_from(memory_bytes).unwrap_or(usize::MAX))
            .build()
            .error_on_failure();
        builder
            .with_execution_providers([cuda])
            .map_err(|error| RuntimeError::Provider {
                provider: "CUDA".to_owned(),
                detail: error.to_string(),
            })
    }
}

fn load(search: &Search) -> Result<Library, RuntimeError> {
    let mut last = None;
    for path in search.candidates() {
        if !path.is_file() {
            continue;
        }
        match ort::init_from(&path) {
            Ok(builder) => {
                let environment = builder
                    .with_name("theriac")
                    .with_telemetry(false)
                    .build()
                    .map_err(failed)?;
                return Ok(Library {
                    environment,
                    version: version_of(&path),
                    path,
                });
            }
            Err(error) => {
                last = Some(RuntimeError::LibraryVersion {
                    path: path.display().to_string(),
                    found: refusal(&error),
                    wanted: OLDEST.to_owned(),
                });
            }
        }
    }
    Err(last.unwrap_or_else(|| RuntimeError::LibraryMissing {
        searched: search.in_words(),
    }))
}

fn refusal(error: &ort::LoadDynamicError) -> String {
    match error {
        ort::LoadDynamicError::Dlopen { error, .. } => error.to_string(),
        ort::LoadDynamicError::MissingApi { .. } => "it has no OrtGetApiBase".to_owned(),
        ort::LoadDynamicError::InvalidVersionString => "its version is unreadable".to_owned(),
        ort::LoadDynamicError::BadVersion { version_str, .. } => format!("version {version_str}"),
    }
}

/// The version that stands in the file's name; the build's description where it does not.
fn version_of(path: &std::path::Path) -> String {
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or("");
    match name.split_once(".so.") {
        Some((_, version)) if version.contains('.') => version.to_owned(),
        _ => ort::info().to_owned(),
    }
}

impl Runtime for OnnxRuntime {
    fn name(&self) -> String {
        format!("onnxruntime {}", self.library.version)
    }

    fn load(&self, model: &[u8], limits: &LoadLimits) -> Result<Arc<dyn Session>, RuntimeError> {
        let inspected = guard::inspect(model, &limits.guard)?;
        let bytes = inspected.for_runtime()?;
        let mut sessions = Vec::new();
        for _ in 0..self.settings.sessions.max(1) {
            let session = self
                .builder()?
                .commit_from_memory(&bytes)
                .map_err(|error| refused(&error))?;
            sessions.push(Mutex::new(session));
        }
        Ok(Arc::new(Loaded {
            signature: inspected.signature,
            limits: limits.call.clone(),
            sessions,
            next: AtomicUsize::new(0),
            description: Description {
                engine: self.name(),
                because: format!("loaded from {}", self.library.path.display()),
            },
        }))
    }
}

/// What the library says about a model it does not take.
fn refused(error: &ort::Error) -> RuntimeError {
    match error.code() {
        ort::ErrorCode::NotImplemented => RuntimeError::UnknownOperator {
            operator: error.message().to_owned(),
            engine: ENGINE.to_owned(),
            remedy: String::new(),
        },
        ort::ErrorCode::InvalidProtobuf => RuntimeError::Corrupt(error.message().to_owned()),
        ort::ErrorCode::InvalidGraph | ort::ErrorCode::InvalidArgument => {
            RuntimeError::Unsound(error.message().to_owned())
        }
        _ => failed(error.message()),
    }
}

struct Loaded {
    signature: Signature,
    limits: CallLimits,
    sessions: Vec<Mutex<OrtSession>>,
    next: AtomicUsize,
    description: Description,
}

impl Loaded {
    /// A session that nobody uses, or the next in turn.
    fn session(&self) -> Option<parking_lot::MutexGuard<'_, OrtSession>> {
        let free = self.sessions.iter().find_map(Mutex::try_lock);
        free.or_else(|| {
            let turn = self.next.fetch_add(1, Ordering::Relaxed) % self.sessions.len().max(1);
            self.sessions.get(turn).map(Mutex::lock)
        })
    }
}

impl Session for Loaded {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn describe(&self) -> Description {
        self.description.clone()
    }

    fn run(&self, inputs: Vec<Tensor>, budget: &Budget) -> Result<Vec<Tensor>, RuntimeError> {
        let inputs = self.signature.arrange(inputs, &self.limits)?;
        let values = inputs
            .into_iter()
            .map(convert::to_ort)
            .collect::<Result<Vec<_>, _>>()?;
        let options = Arc::new(RunOptions::new().map_err(failed)?);
        let stopper = Arc::clone(&options);
        budget.on_stop(move || {
            let _ = stopper.terminate();
        });
        let stopped = || RuntimeError::Deadline { limit_ms: 0 };
        let mut session = self
            .session()
            .ok_or_else(|| failed("the model has no session"))?;
        if budget.is_stopped() {
            return Err(stopped());
        }
        let outputs = session
            .run_with_options(
                ort::session::SessionInputs::ValueMap::<0>(values),
                &*options,
            )
            .map_err(|error| {
                if budget.is_stopped() {
                    stopped()
                } else if error.code() == ort::ErrorCode::InvalidArgument {
                    RuntimeError::shape("call", error.message())
                } else {
                    failed(error.message())
                }
            })?;
        self.signature
            .outputs
            .iter()
            .map(|spec| {
                let value = outputs
                    .get(&spec.name)
                    .ok_or_else(|| RuntimeError::shape(&spec.name, "this output was not made"))?;
                convert::from_ort(&spec.name, value)
            })
            .collect()
    }
}
