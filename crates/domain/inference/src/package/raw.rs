//! The words of a manifest as they stand in TOML. Every table refuses words it does not know. What the
//! values may be is checked where the types are made, not here.

use std::collections::BTreeMap;

use serde::Deserialize;

macro_rules! tables {
    ($($(#[$outer:meta])* $name:ident { $($(#[$inner:meta])* $field:ident: $kind:ty),* $(,)? })*) => {
        $(
            $(#[$outer])*
            #[derive(Debug, Deserialize)]
            #[serde(deny_unknown_fields)]
            pub(super) struct $name { $($(#[$inner])* pub(super) $field: $kind),* }
        )*
    };
}

tables! {
    Root {
        schema: u32,
        model: Model,
        signer: Signer,
        intended: Intended,
        input: Input,
        #[serde(default)] before: Vec<Step>,
        output: Output,
        #[serde(default)] after: Vec<Step>,
        #[serde(default)] stratum: Vec<Stratum>,
        calibration: Option<Calibration>,
        conformal: Option<Conformal>,
        #[serde(default)] reference: Reference,
        #[serde(default)] evidence: Vec<Evidence>,
        #[serde(default)] guideline: Vec<Guideline>,
        #[serde(default)] attributes: BTreeMap<String, String>,
        change_control: ChangeControl,
        #[serde(default)] card: BTreeMap<String, String>,
    }
    Model {
        name: String,
        version: String,
        title: String,
        summary: String,
        developer: String,
        contact: String,
        licence: String,
        released: Option<String>,
    }
    Signer { key: String }
    Intended {
        #[serde(rename = "use")] purpose: String,
        users: Vec<String>,
        population: String,
        setting: String,
        role: String,
        cautions: Vec<String>,
        limits: Vec<String>,
        sign_off: bool,
    }
    Input {
        tensor: String,
        kind: String,
        shape: Vec<i64>,
        most_missing: Option<usize>,
        #[serde(default)] feature: Vec<Feature>,
        image: Option<Image>,
    }
    Feature {
        name: String,
        title: Option<String>,
        kind: String,
        unit: Option<String>,
        low: Option<f64>,
        high: Option<f64>,
        choices: Option<Vec<String>>,
        missing: String,
        fill: Option<f64>,
        source: Option<Source>,
    }
    Source {
        resource: String,
        system: Option<String>,
        code: Option<String>,
        display: Option<String>,
        path: String,
        within_days: Option<u32>,
    }
    Image {
        modality: String,
        body_part: Option<String>,
        view: Option<String>,
        #[serde(default)] series_words: Vec<String>,
        photometric: Vec<String>,
        least_side: u32,
    }
    Step {
        #[serde(rename = "step")] word: String,
        center: Option<Vec<f64>>,
        scale: Option<Vec<f64>>,
        low: Option<f64>,
        high: Option<f64>,
        feature: Option<String>,
        slope: Option<f64>,
        intercept: Option<f64>,
        middle: Option<f64>,
        width: Option<f64>,
        rows: Option<usize>,
        columns: Option<usize>,
        mean: Option<Vec<f64>>,
        deviation: Option<Vec<f64>>,
        channels: Option<usize>,
    }
    Output {
        tensor: String,
        kind: String,
        shape: Vec<i64>,
        gives: String,
        event: Option<String>,
        unit: Option<String>,
        #[serde(default)] label: Vec<Label>,
    }
    Label {
        name: String,
        system: Option<String>,
        code: Option<String>,
        display: Option<String>,
    }
    Stratum {
        name: String,
        from: Option<f64>,
        advice: Option<String>,
        #[serde(default)] guidelines: Vec<String>,
    }
    Calibration {
        method: String,
        temperature: Option<f64>,
        a: Option<f64>,
        b: Option<f64>,
        x: Option<Vec<f64>>,
        y: Option<Vec<f64>>,
        cases: u64,
        data: String,
        error_before: Option<f64>,
        error_after: Option<f64>,
        brier_before: Option<f64>,
        brier_after: Option<f64>,
    }
    Conformal {
        method: String,
        alpha: f64,
        scores: Vec<f64>,
        lambda: Option<f64>,
        k_reg: Option<f64>,
        group_by: Option<String>,
        #[serde(default)] groups: BTreeMap<String, Vec<f64>>,
    }
    #[derive(Default)]
    Reference {
        #[serde(default)] cases: u64,
        mahalanobis: Option<Mahalanobis>,
        nearest: Option<Nearest>,
        energy: Option<Energy>,
        #[serde(default)] bins: Vec<Bins>,
        background: Option<Vec<Vec<f64>>>,
        neighbours: Option<Neighbours>,
    }
    Mahalanobis {
        alpha: f64,
        center: Vec<f64>,
        scale: Vec<f64>,
        precision: Vec<Vec<f64>>,
        distances: Vec<f64>,
    }
    Nearest {
        alpha: f64,
        k: usize,
        center: Vec<f64>,
        scale: Vec<f64>,
        rows: Vec<Vec<f64>>,
        distances: Vec<f64>,
    }
    Energy {
        alpha: f64,
        temperature: f64,
        energies: Vec<f64>,
    }
    Bins {
        feature: String,
        edges: Vec<f64>,
        counts: Vec<u64>,
    }
    Neighbours {
        rows: Vec<Vec<f64>>,
        outcomes: Vec<String>,
        statement: String,
    }
    Evidence {
        slice: String,
        metric: String,
        value: f64,
        low: Option<f64>,
        high: Option<f64>,
        cases: u64,
        data: String,
    }
    Guideline {
        id: String,
        title: String,
        url: String,
    }
    ChangeControl {
        plan: String,
        threshold_shift: f64,
        most_canary_percent: u8,
        least_shadow_answers: u64,
        retraining: bool,
    }
}
