//! Which spans are sent: all of a harvest, or none.
//!
//! The usual samplers decide by the trace. A harvest is many traces, one for each handling, and of each some would be missing. So the
//! harvest's id decides, alike in every process. What belongs to no harvest and no delivery is always sent, it is little; but for the requests that
//! partners make of the gateway, of which the same share is sent.

use opentelemetry::{
    Context, KeyValue, TraceId,
    trace::{Link, SpanKind, TraceContextExt, TraceState},
};
use opentelemetry_sdk::trace::{SamplingDecision, SamplingResult, ShouldSample};

use crate::subject::Subject;

/// Sends the spans of this share of harvests, from 0 (none) to 1 (all).
#[derive(Clone, Debug)]
pub(crate) struct WholeHarvests(pub f64);

impl WholeHarvests {
    /// What has no number is taken unless nothing is.
    fn takes(&self, number: Option<u64>) -> bool {
        let share = |number: u64| (number >> 11) as f64 / (1_u64 << 53) as f64;
        self.0 > 0.0 && number.is_none_or(|number| share(number) < self.0)
    }
}

impl ShouldSample for WholeHarvests {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace_id: TraceId,
        _: &str,
        kind: &SpanKind,
        _: &[KeyValue],
        _: &[Link],
    ) -> SamplingResult {
        let subject = parent.and_then(|parent| parent.get::<Subject>());
        let takes = match (subject, parent.filter(|parent| parent.has_active_span())) {
            (Some(subject), _) => self.takes(subject.number()),
            (None, Some(parent)) => parent.span().span_context().is_sampled(),
            (None, None) if *kind == SpanKind::Server => {
                let [.., a, b, c, d, e, f, g, h] = trace_id.to_bytes();
                self.takes(Some(u64::from_be_bytes([a, b, c, d, e, f, g, h])))
            }
            (None, None) => self.takes(None),
        };
        SamplingResult {
            decision: if takes { SamplingDecision::RecordAndSample } else { SamplingDecision::Drop },
            attributes: Vec::new(),
            trace_state: parent
                .map_or_else(TraceState::default, |parent| parent.span().span_context().trace_state().clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_harvest_is_sent_as_a_whole_and_harvests_by_their_share() {
        let harvests: Vec<Subject> =
            (0..1000).map(|_| Subject { harvest_id: Some(Uuid::now_v7()), ..Subject::default() }).collect();
        let taken = |share| harvests.iter().filter(|subject| WholeHarvests(share).takes(subject.number())).count();
        assert_eq!((taken(0.0), taken(1.0)), (0, 1000));
        assert!((150..350).contains(&taken(0.25)), "{}", taken(0.25));
        for subject in &harvests {
            // Whatever is sent at a small share is sent at a larger one, and so the same in processes that disagree.
            assert!(!WholeHarvests(0.25).takes(subject.number()) || WholeHarvests(0.5).takes(subject.number()));
        }
        assert!(WholeHarvests(0.001).takes(None), "what belongs to no harvest is little");
    }

    #[test]
    fn of_the_requests_of_partners_a_share_is_sent() {
        let taken = |share| {
            let sampled = |id| {
                let id = TraceId::from(id as u128 * 0x9e37_79b9_7f4a_7c15);
                WholeHarvests(share).should_sample(None, id, "", &SpanKind::Server, &[], &[]).decision
            };
            (1..=1000_u64).filter(|id| sampled(*id) == SamplingDecision::RecordAndSample).count()
        };
        assert_eq!((taken(0.0), taken(1.0)), (0, 1000));
        assert!((150..350).contains(&taken(0.25)), "{}", taken(0.25));
    }
}
