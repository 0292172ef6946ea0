//! `theriac init`: makes keys, the instance log and the first operator.

use app::init::{self, NewOperator};
use serde_json::json;
use zeroize::Zeroizing;

use crate::cli::Init;
use crate::config::Config;
use crate::failure::Failure;
use crate::output::Printer;
use crate::wiring::{self, Opening};
use crate::words;

/// Runs it.
pub async fn run(config: &Config, arguments: &Init, printer: Printer) -> Result<u8, Failure> {
    let given = arguments
        .password_file
        .as_deref()
        .map(super::secret_file)
        .transpose()?;
    let instance = wiring::open(config, Opening::OrNew).await?;
    let made = given.is_none();
    let password = given.unwrap_or_else(|| Zeroizing::new(words::pass_phrase(&*instance.ids)));
    let operator = NewOperator {
        sign_in_name: arguments.operator.clone(),
        display_name: arguments.operator.clone(),
        password: Some(password.clone()),
    };
    let outcome = init::instance(&instance.app, operator).await;
    wiring::close(&instance).await;
    let user = outcome?.user;
    let mut result = json!({
        "folder": config.data_folder().display().to_string(),
        "operator": user.sign_in_name.as_str(),
        "verifier": instance.store.log_verifier(),
    });
    if made && let Some(members) = result.as_object_mut() {
        members.insert("password".to_owned(), password.as_str().into());
    }
    printer.object(&result);
    printer.note("\nhint: keep the verifier key apart from this machine: `theriac verify --policy` proves the ledger with it");
    printer.note("hint: next, `theriac tenant create NAME --name \"Readable name\"`");
    Ok(0)
}
