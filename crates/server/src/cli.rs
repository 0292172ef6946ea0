//! The command line: names, flags and help texts. What a command does is in `commands`, one file each.
//! Data goes to standard output, logs and progress to standard error; exit codes come from the error
//! category table (`kernel::category`), those of `verify` from the ledger's verdict.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// A clinical backbone in one binary, with proof.
#[derive(Debug, Parser)]
#[command(
    name = "theriac",
    version,
    propagate_version = true,
    arg_required_else_help = true
)]
pub struct Cli {
    /// What every command accepts.
    #[command(flatten)]
    pub global: Global,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// Flags of every command.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// Configuration file (default: theriac.toml in the working folder, if there is one)
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Data folder (overrides data.folder)
    #[arg(long, global = true, value_name = "FOLDER")]
    pub data: Option<PathBuf>,
    /// How results are printed
    #[arg(short = 'o', long, global = true, value_enum, default_value_t = Format::Table)]
    pub output: Format,
    /// No progress on standard error
    #[arg(long, global = true)]
    pub quiet: bool,
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Table,
    /// One JSON document
    Json,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve two synthetic organisations from a folder; prints the address and the sign-ins
    Demo(Demo),
    /// Serve an instance made with `init`
    Serve(Serve),
    /// Make an instance: keys, the instance log and the first operator
    Init(Init),
    /// Load FHIR: a folder, a bundle or NDJSON; resumes where it stopped, loads nothing twice
    Import(Import),
    /// Write a tenant's resources as NDJSON, or its ledger for `verify`
    Export(Export),
    /// Verify a ledger export, or a store with its record (exit 0 sound, 1 altered, 2 incomplete, 3 untrusted)
    Verify(Verify),
    /// Check this machine and instance, and say how to mend what is wrong
    Doctor,
    /// Tenants
    #[command(subcommand)]
    Tenant(Tenant),
    /// Packages of profiles, such as UK Core or US Core
    #[command(subcommand)]
    Package(Package),
    /// Branches of a tenant
    #[command(subcommand)]
    Branch(Branch),
    /// Users of a tenant
    #[command(subcommand)]
    User(User),
    /// Roles and what they may do
    #[command(subcommand)]
    Role(Role),
    /// API clients of a tenant
    #[command(subcommand)]
    Client(Client),
    /// Long-lived API tokens
    #[command(subcommand)]
    Token(Token),
    /// Code systems for all tenants: load a release you license, list, remove
    #[command(subcommand)]
    Terminology(Terminology),
    /// Medicinal products for all tenants: load a release you hold, list, remove; recalls of packs
    #[command(subcommand)]
    Products(Products),
    /// Packages of clinical models: make a key, pack and sign, look into, verify, print the card
    #[command(subcommand)]
    Model(Model),
    /// Destroy a patient's key: the data becomes unreadable in every copy, the ledger stays sound
    Erase(Erase),
    /// Write an encrypted, verified backup while serving
    Backup(Backup),
    /// Restore a backup into a new folder; what was erased since stays erased
    Restore(Restore),
    /// Measure this machine and this program against ceilings taken in the same run
    Bench(Bench),
    /// Settings
    #[command(subcommand)]
    Config(Config),
    /// Completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// Commands on installed code systems.
#[derive(Debug, Clone, Subcommand)]
pub enum Terminology {
    /// Read a release and install it; one of the same version is replaced
    Load(LoadTerminology),
    /// Installed code systems
    List,
    /// Remove an installed code system
    Remove {
        /// Its canonical URL
        url: String,
        /// This version only
        #[arg(long)]
        release: Option<String>,
    },
}

/// Flags of `terminology load`.
#[derive(Debug, Clone, Args)]
pub struct LoadTerminology {
    /// What it is
    pub kind: TerminologyKind,
    /// Folder, zip archive or file of the release
    pub path: PathBuf,
    /// Its version, in place of what the files say
    #[arg(long)]
    pub release: Option<String>,
    /// Its canonical URL, in place of the usual one
    #[arg(long)]
    pub url: Option<String>,
    /// SNOMED CT: module of the edition, in place of what the files' names say
    #[arg(long)]
    pub edition: Option<String>,
    /// SNOMED CT: language reference set whose preferred terms are the displays; may be repeated, best first
    #[arg(long)]
    pub language: Vec<String>,
}

/// Releases that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TerminologyKind {
    /// SNOMED CT, RF2 snapshot
    Snomed,
    /// LOINC, CSV files
    Loinc,
    /// NHS dictionary of medicines and devices, XML files
    Dmd,
    /// ICD-10, ClaML or a table with the columns code, display and parent
    Icd10,
}

/// Commands on installed lists of products.
#[derive(Debug, Clone, Subcommand)]
pub enum Products {
    /// Read a release and install it in place of the one of its kind
    Load(LoadProducts),
    /// Installed lists
    List,
    /// Remove an installed list; the built-in one stays
    Remove {
        /// Which
        kind: ProductsKind,
    },
    /// Keep a recall: a scanned pack of it blocks a dose
    Recall {
        /// Number of the pack: 8, 12, 13 or 14 digits
        gtin: String,
        /// Batch; left out, every batch
        #[arg(long)]
        batch: Option<String>,
        /// Where it was published
        #[arg(long)]
        notice: String,
    },
    /// Recalls that are kept
    Recalls,
    /// End a recall
    EndRecall {
        /// Number of the pack
        gtin: String,
        /// Batch, as it was kept
        #[arg(long)]
        batch: Option<String>,
    },
}

/// Flags of `products load`.
#[derive(Debug, Clone, Args)]
pub struct LoadProducts {
    /// What it is
    pub kind: ProductsKind,
    /// Folders, zip archives or files of the release
    #[arg(required = true)]
    pub paths: Vec<PathBuf>,
    /// Its name, in place of the first path's last name
    #[arg(long)]
    pub release: Option<String>,
}

/// Lists of products that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ProductsKind {
    /// NHS dictionary of medicines and devices, XML files, with the file of trade item numbers
    Dmd,
    /// RxNorm prescribable content, RRF files
    Rxnorm,
}

/// Commands on packages of clinical models.
#[derive(Debug, Clone, Subcommand)]
pub enum Model {
    /// Make a key that signs packages: its secret goes into a new file, its public part is printed
    Key {
        /// File of the secret, readable by its owner alone
        file: PathBuf,
    },
    /// Pack a manifest and a model into one signed file; what would be refused later is refused here
    Pack {
        /// The declarations: manifest.toml
        manifest: PathBuf,
        /// The model: ONNX, in one file
        model: PathBuf,
        /// File of the signing key's secret
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// The package to write: NAME-VERSION.tmpkg where left out
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
    },
    /// Say what a package holds and what would run it; trusts nobody
    Inspect {
        /// The package
        package: PathBuf,
    },
    /// Verify signature, declarations and model of a package (exit 0 sound, else the reason)
    Verify {
        /// The package
        package: PathBuf,
        /// A public key that is trusted, 64 hexadecimal digits; may be repeated
        #[arg(long, required = true, value_name = "KEY")]
        trust: Vec<String>,
    },
    /// Print the model card as Markdown
    Card {
        /// The package
        package: PathBuf,
    },
}

/// Flags of `demo`.
#[derive(Debug, Clone, Args)]
pub struct Demo {
    /// Folder of the demo's data (default: a folder in the system's temporary folder, kept between runs)
    #[arg(long, value_name = "FOLDER")]
    pub folder: Option<PathBuf>,
    /// Address and port
    #[arg(long, default_value = "127.0.0.1:8090")]
    pub listen: String,
    /// Seed of the synthetic population
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Stop after loading instead of serving
    #[arg(long)]
    pub load_only: bool,
    /// Play a scripted story instead of serving, each step with its entry of the ledger, and verify the
    /// ledger (exit 0: all as expected and sound); of a folder that is new only the house is loaded
    #[arg(long, value_name = "STORY")]
    pub scenario: Option<crate::scenario::Scenario>,
}

/// Flags of `serve`.
#[derive(Debug, Clone, Args)]
pub struct Serve {
    /// Address and port (overrides http.listen)
    #[arg(long)]
    pub listen: Option<String>,
}

/// Flags of `init`.
#[derive(Debug, Clone, Args)]
pub struct Init {
    /// Sign-in name of the first operator
    #[arg(long, default_value = "operator")]
    pub operator: String,
    /// File holding the operator's password (default: one is made and printed once)
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
}

/// Flags of `import`.
#[derive(Debug, Clone, Args)]
pub struct Import {
    /// Folder, bundle (.json, .json.gz) or NDJSON (.ndjson, .ndjson.gz)
    pub source: PathBuf,
    /// Tenant to load into (default: the only one; made when there is none)
    #[arg(long)]
    pub tenant: Option<String>,
    /// Where to write the report of what was refused and why (default: standard output has the summary)
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Begin anew instead of resuming
    #[arg(long)]
    pub restart: bool,
}

/// Flags of `export`.
#[derive(Debug, Clone, Args)]
pub struct Export {
    /// Folder to write into; must be empty or new
    pub into: PathBuf,
    /// Tenant (default: the only one; with --ledger every tenant)
    #[arg(long)]
    pub tenant: Option<String>,
    /// Write the ledger (changes, access and instance logs) for `verify` instead of the resources
    #[arg(long)]
    pub ledger: bool,
    /// Only these resource types
    #[arg(long = "type", value_name = "TYPE")]
    pub types: Vec<String>,
}

/// Flags of `verify`.
#[derive(Debug, Clone, Args)]
pub struct Verify {
    /// A ledger export, or a data folder (default: the store that the settings name, while nothing writes)
    pub source: Option<PathBuf>,
    /// File of trusted verifier keys, one a line (default: the keys beside the export, which proves
    /// integrity but not origin)
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// A checkpoint kept from before: the log must extend it
    #[arg(long, value_name = "FILE")]
    pub from: Vec<PathBuf>,
    /// The export is of one tenant: logs of other tenants, which the instance log names, may be missing
    #[arg(long)]
    pub partial: bool,
}

/// Tenants.
#[derive(Debug, Clone, Subcommand)]
pub enum Tenant {
    /// Make a tenant and its first administrator
    Create {
        /// Name in addresses
        slug: String,
        /// Readable name
        #[arg(long)]
        name: String,
        /// Sign-in name of the first administrator
        #[arg(long, default_value = "administrator")]
        administrator: String,
        /// Dedicated database or folder of this name
        #[arg(long)]
        dedicated: Option<String>,
    },
    /// Change a tenant's settings
    Set {
        /// Name in addresses
        slug: String,
        /// Zone its times are shown in, such as Europe/London; `default` takes the instance's
        #[arg(long, value_name = "ZONE", required_unless_present_any = ["validation", "references", "deletions"])]
        time_zone: Option<String>,
        /// Whether its writes are held to profiles: off, warn, enforce; `default` takes the instance's
        #[arg(long, value_name = "MODE")]
        validation: Option<String>,
        /// Whether references must point to something: off, warn, enforce
        #[arg(long, value_name = "MODE")]
        references: Option<String>,
        /// How many resources a conditional delete may take away: single, multiple
        #[arg(long, value_name = "MODE")]
        deletions: Option<String>,
    },
    /// List tenants
    List,
}

/// Packages of profiles.
#[derive(Debug, Clone, Subcommand)]
pub enum Package {
    /// Install a package from the archive a FHIR registry serves
    Add {
        /// The .tgz file
        archive: PathBuf,
    },
    /// List installed packages
    List,
    /// Take a package out
    Remove {
        /// Its name, or name#version
        name: String,
    },
}

/// Branches.
#[derive(Debug, Clone, Subcommand)]
pub enum Branch {
    /// Make a branch
    Create {
        /// Tenant
        #[arg(long)]
        tenant: String,
        /// Readable name
        name: String,
        /// Id of the Organization resource whose patients belong to it
        #[arg(long)]
        organization: Option<String>,
    },
    /// List branches
    List {
        /// Tenant
        #[arg(long)]
        tenant: String,
    },
}

/// Users.
#[derive(Debug, Clone, Subcommand)]
pub enum User {
    /// Make a user; the password is made and printed once
    Create {
        /// Tenant
        #[arg(long)]
        tenant: String,
        /// Sign-in name
        sign_in: String,
        /// Readable name
        #[arg(long)]
        name: String,
        /// Role, repeatable
        #[arg(long = "role", required = true)]
        roles: Vec<String>,
        /// Branch name, repeatable; none: every branch the role allows
        #[arg(long = "branch")]
        branches: Vec<String>,
    },
    /// List users
    List {
        /// Tenant
        #[arg(long)]
        tenant: String,
    },
    /// Disable a user; sessions end at once
    Disable {
        /// Tenant
        #[arg(long)]
        tenant: String,
        /// Sign-in name
        sign_in: String,
    },
    /// Give a user a new password, printed once
    ResetPassword {
        /// Tenant
        #[arg(long)]
        tenant: String,
        /// Sign-in name
        sign_in: String,
    },
}

/// Roles.
#[derive(Debug, Clone, Subcommand)]
pub enum Role {
    /// List roles and what they may do
    List,
}

/// API clients.
#[derive(Debug, Clone, Subcommand)]
pub enum Client {
    /// Register a client with its public keys (a JWKS file)
    Create {
        /// Tenant
        #[arg(long)]
        tenant: String,
        /// Readable name
        name: String,
        /// Public keys
        #[arg(long, value_name = "FILE")]
        jwks: Option<PathBuf>,
        /// Scope such as `Patient.read` or `*.read`, repeatable
        #[arg(long = "scope", default_value = "*.*")]
        scopes: Vec<String>,
    },
    /// List clients
    List {
        /// Tenant
        #[arg(long)]
        tenant: String,
    },
}

/// Long-lived tokens.
#[derive(Debug, Clone, Subcommand)]
pub enum Token {
    /// Make a token for a client; printed once, only its hash is kept
    Create {
        /// Tenant
        #[arg(long)]
        tenant: String,
        /// Client id or name
        #[arg(long)]
        client: String,
        /// What it is for
        name: String,
        /// Days until it expires
        #[arg(long, default_value_t = 90)]
        days: u32,
    },
    /// List tokens
    List {
        /// Tenant
        #[arg(long)]
        tenant: String,
    },
    /// Revoke a token
    Revoke {
        /// Tenant
        #[arg(long)]
        tenant: String,
        /// Token id
        id: String,
    },
}

/// Flags of `erase`.
#[derive(Debug, Clone, Args)]
pub struct Erase {
    /// Tenant
    #[arg(long)]
    pub tenant: String,
    /// Logical id of the patient
    pub patient: String,
    /// Why, as a code such as `court-order` (letters, digits, '.', '_', '-'); kept in the ledger
    #[arg(long)]
    pub reason: String,
    /// Do it; without this flag it prints what would be erased
    #[arg(long)]
    pub confirm: bool,
}

/// Flags of `backup`.
#[derive(Debug, Clone, Args)]
pub struct Backup {
    /// File to write
    pub into: PathBuf,
    /// File holding the pass phrase
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: PathBuf,
}

/// Flags of `restore`.
#[derive(Debug, Clone, Args)]
pub struct Restore {
    /// Backup file
    pub from: PathBuf,
    /// File holding the pass phrase
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: PathBuf,
    /// A newer erased.log, repeatable (those in the folder itself and in folders beside it are found)
    #[arg(long, value_name = "FILE")]
    pub erased: Vec<PathBuf>,
}

/// Flags of `bench`.
#[derive(Debug, Clone, Args)]
pub struct Bench {
    /// What to measure (default: everything)
    #[arg(long = "only", value_enum)]
    pub only: Vec<Measure>,
    /// Seconds per measurement
    #[arg(long, default_value_t = 5)]
    pub seconds: u64,
    /// Concurrent connections
    #[arg(long, default_value_t = 64)]
    pub connections: usize,
    /// Resources loaded before reads and searches are measured
    #[arg(long, default_value_t = 10_000)]
    pub resources: u64,
    /// Resources that `growth` goes up to, in steps of ten times
    #[arg(long, default_value_t = 100_000)]
    pub grow_to: u64,
    /// File with two PostgreSQL connection strings of an empty database, the owner role's and then the
    /// application role's; measures that adapter beside SQLite
    #[arg(long, value_name = "FILE")]
    pub postgres_file: Option<PathBuf>,
}

/// What `bench` measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Measure {
    /// Transaction bundles
    Import,
    /// Single creates
    Create,
    /// Reads by id
    Read,
    /// Searches by an indexed token
    Search,
    /// A bulk export of everything
    Export,
    /// Searches of the shapes that clients send, one at a time
    Shapes,
    /// Rounds, charts and lists of medicines of a care home
    Medicines,
    /// The offline verifier
    Verify,
    /// Start time and idle memory
    Start,
    /// Cost per request while the record grows
    Growth,
}

/// Settings.
#[derive(Debug, Clone, Subcommand)]
pub enum Config {
    /// Print the settings in force
    Show {
        /// Also print where each value came from
        #[arg(long)]
        origin: bool,
    },
    /// Check the settings and say what is wrong
    Check,
}
