//! Prometheus metrics: the edge's own (requests, durations, requests in flight) and the figures of what is
//! below it. Labels are bounded: never a tenant's data, an id or an address. Must not decide what is well.

pub mod families;
mod text;

use prometheus::{
    Encoder as _, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, Opts, Registry, TextEncoder,
};

/// The edge's own metrics.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    durations: HistogramVec,
    in_flight: IntGauge,
}

impl Metrics {
    /// Registers the edge's metrics.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let requests = IntCounterVec::new(
            Opts::new(families::REQUESTS.name, families::REQUESTS.help),
            families::REQUESTS.labels,
        )?;
        let durations = HistogramVec::new(
            HistogramOpts::new(families::DURATIONS.name, families::DURATIONS.help).buckets(vec![
                0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0,
            ]),
            families::DURATIONS.labels,
        )?;
        let in_flight = IntGauge::new(families::IN_FLIGHT.name, families::IN_FLIGHT.help)?;
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(durations.clone()))?;
        registry.register(Box::new(in_flight.clone()))?;
        Ok(Self {
            registry,
            requests,
            durations,
            in_flight,
        })
    }

    /// A request began; it ends when what is returned is dropped.
    #[must_use]
    pub fn in_flight(&self) -> InFlight {
        self.in_flight.inc();
        InFlight(self.in_flight.clone())
    }

    /// A request was answered.
    pub fn answered(&self, interaction: &'static str, status: u16, seconds: f64) {
        let class = match status {
            200..=299 => "2xx",
            300..=399 => "3xx",
            400..=499 => "4xx",
            _ => "5xx",
        };
        self.requests.with_label_values(&[interaction, class]).inc();
        self.durations
            .with_label_values(&[interaction])
            .observe(seconds);
    }

    /// The exposition text of everything.
    #[must_use]
    pub fn render(&self, figures: &app::figures::Figures) -> Vec<u8> {
        let mut text = self.own();
        text.extend_from_slice(text::write(figures).as_bytes());
        text
    }

    fn own(&self) -> Vec<u8> {
        let mut text = Vec::new();
        // Writing into memory fails only for malformed families, which registration already refused.
        let _ = TextEncoder::new().encode(&self.registry.gather(), &mut text);
        text
    }
}

/// A request that is being answered.
#[derive(Debug)]
pub struct InFlight(IntGauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_by_interaction_and_class() {
        let metrics = Metrics::new().unwrap();
        metrics.answered("read", 200, 0.001);
        let request = metrics.in_flight();
        metrics.answered("read", 404, 0.001);
        let text = String::from_utf8(metrics.own()).unwrap();
        assert!(text.contains("theriac_http_requests_in_flight 1"), "{text}");
        drop(request);
        let text = String::from_utf8(metrics.own()).unwrap();
        assert!(
            text.contains(r#"theriac_http_requests_total{interaction="read",status="2xx"} 1"#),
            "{text}"
        );
        assert!(
            text.contains(r#"theriac_http_requests_total{interaction="read",status="4xx"} 1"#),
            "{text}"
        );
        assert!(text.contains("theriac_http_requests_in_flight 0"), "{text}");
    }
}
