//! Naming a patient by a number, for those who may ask about a patient without reading the record:
//! auditors, and people who take emergency access. Must not give anything of the record but its id.

use identity::Interaction;
use kernel::LogicalId;

use crate::App;
use crate::audit::{allow, record_view};
use crate::context::Caller;
use crate::error::AppError;
use crate::record::plan::{Request, plan};

/// Patients found by one number at most: more than one is a question for a person.
const MOST: &str = "10";

/// A patient as somebody names one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sought {
    /// By the record's id.
    Id(LogicalId),
    /// By a number, in the ways it may have been written down: `9434765919`, `943 476 5919`.
    Number(Vec<String>),
}

impl From<LogicalId> for Sought {
    fn from(id: LogicalId) -> Self {
        Self::Id(id)
    }
}

/// The ids of the patients a number belongs to, for somebody who may see the trail. An id is given back
/// as it is: the trail of a patient whose record is gone can be asked for too.
pub async fn patients_named(
    app: &App,
    caller: &Caller,
    sought: &Sought,
) -> Result<Vec<LogicalId>, AppError> {
    allow(app, caller, Interaction::ViewAudit).await?;
    match sought {
        Sought::Id(id) => Ok(vec![id.clone()]),
        Sought::Number(forms) => {
            let query = format!("number={}", forms.join(","));
            record_view(app, caller, "audit-lookup", query, None).await?;
            of_number(app, caller, forms).await
        }
    }
}

/// The ids of the patients that have a number; the caller of this decided that it may be asked.
pub(crate) async fn of_number(
    app: &App,
    caller: &Caller,
    forms: &[String],
) -> Result<Vec<LogicalId>, AppError> {
    if forms.is_empty() {
        return Ok(Vec::new());
    }
    let forms: Vec<String> = forms.iter().map(|form| escaped(form)).collect();
    let params = [
        ("identifier".to_owned(), forms.join(",")),
        ("_count".to_owned(), MOST.to_owned()),
    ];
    let request = Request {
        ty: app.patient_type(),
        params: &params,
        lenient: false,
    };
    let plan = plan(app, caller, &request)?.plan;
    let page = app.store().search(&caller.scope, &plan).await?;
    let ids = page.matches.into_iter().map(|version| version.key.id);
    Ok(ids.collect())
}

/// A text as one search value.
fn escaped(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '\\' | ',' | '|' | '$') {
            shown.push('\\');
        }
        shown.push(c);
    }
    shown
}
