//! From the list into a registry.

use prometheus::core::Collector;
use prometheus::{
    GaugeVec, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

use super::{Family, Kind};

/// Names and labels are constants of the list, so a failure is a mistake in it that every test meets.
fn add<C: Collector + Clone + 'static>(registry: &Registry, metric: prometheus::Result<C>) -> C {
    metric
        .and_then(|metric| registry.register(Box::new(metric.clone())).map(|()| metric))
        .expect("metrics of the catalogue are valid, and registered once")
}

impl Family {
    fn opts(&self) -> Opts {
        Opts::new(self.name, self.help)
    }

    /// Registers it as a counter without labels: shown from 0 on.
    #[must_use]
    pub fn counter(&self, registry: &Registry) -> IntCounter {
        add(registry, IntCounter::with_opts(self.opts()))
    }

    /// Registers it as counters by label.
    #[must_use]
    pub fn counters(&self, registry: &Registry) -> IntCounterVec {
        add(registry, IntCounterVec::new(self.opts(), self.labels))
    }

    /// Registers it as a gauge without labels: shown from 0 on.
    #[must_use]
    pub fn gauge(&self, registry: &Registry) -> IntGauge {
        add(registry, IntGauge::with_opts(self.opts()))
    }

    /// Registers it as gauges of whole numbers by label.
    #[must_use]
    pub fn gauges(&self, registry: &Registry) -> IntGaugeVec {
        add(registry, IntGaugeVec::new(self.opts(), self.labels))
    }

    /// Registers it as gauges by label.
    #[must_use]
    pub fn real_gauges(&self, registry: &Registry) -> GaugeVec {
        add(registry, GaugeVec::new(self.opts(), self.labels))
    }

    /// Registers it as histograms by label, with the buckets of the list.
    #[must_use]
    pub fn histograms(&self, registry: &Registry) -> HistogramVec {
        let opts = HistogramOpts::from(self.opts());
        let opts = match self.kind {
            Kind::Histogram(buckets) => opts.buckets(buckets.to_vec()),
            Kind::Counter | Kind::Gauge => opts,
        };
        add(registry, HistogramVec::new(opts, self.labels))
    }
}
