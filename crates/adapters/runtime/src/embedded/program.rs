//! A graph made ready once and run many times: nodes in order, names replaced by places, values let go
//! after their last reader. Must not know any operator.

use std::collections::HashMap;

use super::kernel::{Built, Call, Memory, Settings};
use super::value::Value;
use super::{ml, ops};
use crate::error::RuntimeError;
use crate::guard::{Inspected, order_of, tensor_of};
use crate::port::{Budget, CallLimits};
use crate::tensor::Tensor;

/// Where a node finds an input.
#[derive(Debug, Clone, Copy)]
enum Source {
    Absent,
    Constant(usize),
    Slot(usize),
}

struct Step {
    name: String,
    kernel: Built,
    inputs: Vec<Source>,
    outputs: Vec<Option<usize>>,
    /// Slots nobody reads after this step.
    free: Vec<usize>,
}

/// A compiled graph.
pub struct Program {
    constants: Vec<Value>,
    slots: usize,
    /// Places of the declared inputs, in their order.
    inputs: Vec<usize>,
    outputs: Vec<(String, Source)>,
    steps: Vec<Step>,
}

#[derive(Default)]
struct Names<'a> {
    known: HashMap<&'a str, Source>,
    slots: usize,
}

impl<'a> Names<'a> {
    fn slot(&mut self, name: &'a str) -> usize {
        let slot = self.slots;
        self.slots += 1;
        self.known.insert(name, Source::Slot(slot));
        slot
    }

    fn source(&self, name: &str) -> Source {
        self.known.get(name).copied().unwrap_or(Source::Absent)
    }
}

impl Program {
    /// Compiles a graph that passed the guard; refuses operators that are not built in, by name.
    pub fn compile(inspected: &Inspected<'_>, elements: u64) -> Result<Self, RuntimeError> {
        let graph = &inspected.model.graph;
        let mut names = Names::default();
        let inputs = inspected
            .signature
            .inputs
            .iter()
            .filter_map(|spec| graph.inputs.iter().find(|input| input.name == spec.name))
            .map(|input| names.slot(input.name))
            .collect();
        let mut constants = Vec::new();
        for view in &graph.initializers {
            names
                .known
                .insert(view.name, Source::Constant(constants.len()));
            constants.push(tensor_of(view, elements)?);
        }
        let mut steps = Vec::with_capacity(graph.nodes.len());
        for place in order_of(graph)? {
            let Some(node) = graph.nodes.get(place) else {
                continue;
            };
            let settings = Settings {
                node,
                opset: inspected.opset(node.domain),
            };
            let kernel = if node.domain.is_empty() {
                ops::build(&settings)?
            } else {
                ml::build(&settings)?
            };
            let inputs = node.inputs.iter().map(|name| names.source(name)).collect();
            let outputs = node
                .outputs
                .iter()
                .map(|name| (!name.is_empty()).then(|| names.slot(name)))
                .collect();
            steps.push(Step {
                name: node.called().to_owned(),
                kernel,
                inputs,
                outputs,
                free: Vec::new(),
            });
        }
        let outputs = graph
            .outputs
            .iter()
            .map(|output| (output.name.to_owned(), names.source(output.name)))
            .collect();
        let mut program = Self {
            constants,
            slots: names.slots,
            inputs,
            outputs,
            steps,
        };
        program.note_last_readers();
        Ok(program)
    }

    fn note_last_readers(&mut self) {
        let mut kept = vec![false; self.slots];
        for (_, source) in &self.outputs {
            if let Source::Slot(slot) = source
                && let Some(place) = kept.get_mut(*slot)
            {
                *place = true;
            }
        }
        for step in self.steps.iter_mut().rev() {
            let touched = step
                .inputs
                .iter()
                .filter_map(|source| match source {
                    Source::Slot(slot) => Some(*slot),
                    _ => None,
                })
                .chain(step.outputs.iter().filter_map(|slot| *slot));
            for slot in touched {
                if let Some(place) = kept.get_mut(slot)
                    && !*place
                {
                    *place = true;
                    step.free.push(slot);
                }
            }
        }
    }

    /// One call; the inputs are in the declared order and were checked.
    pub fn run(
        &self,
        inputs: Vec<Tensor>,
        limits: &CallLimits,
        budget: &Budget,
    ) -> Result<Vec<Tensor>, RuntimeError> {
        let mut memory = Memory {
            used: 0,
            limit: limits.memory_bytes,
        };
        let mut slots: Vec<Option<Value>> = Vec::new();
        slots.resize_with(self.slots, || None);
        for (place, tensor) in self.inputs.iter().zip(inputs) {
            let (_, shape, data) = tensor.into_parts();
            let size = data.size() as u64;
            memory.claim(size)?;
            memory.used += size;
            if let Some(slot) = slots.get_mut(*place) {
                *slot = Some(Value { shape, data });
            }
        }
        for step in &self.steps {
            self.step(step, &mut slots, &mut memory, budget)?;
        }
        self.collect(&mut slots)
    }

    fn step(
        &self,
        step: &Step,
        slots: &mut [Option<Value>],
        memory: &mut Memory,
        budget: &Budget,
    ) -> Result<(), RuntimeError> {
        let inputs: Vec<Option<&Value>> = step
            .inputs
            .iter()
            .map(|source| match source {
                Source::Absent => None,
                Source::Constant(place) => self.constants.get(*place),
                Source::Slot(place) => slots.get(*place).and_then(Option::as_ref),
            })
            .collect();
        let mut call = Call {
            node: &step.name,
            inputs: &inputs,
            memory,
            budget,
        };
        call.go_on()?;
        let made = step.kernel.run(&mut call)?;
        for (place, value) in step.outputs.iter().zip(made) {
            let size = value.data.size() as u64;
            memory.claim(size)?;
            if let Some(slot) = place.and_then(|place| slots.get_mut(place)) {
                memory.used += size;
                *slot = Some(value);
            }
        }
        for place in &step.free {
            if let Some(value) = slots.get_mut(*place).and_then(Option::take) {
                memory.used = memory.used.saturating_sub(value.data.size() as u64);
            }
        }
        Ok(())
    }

    fn collect(&self, slots: &mut [Option<Value>]) -> Result<Vec<Tensor>, RuntimeError> {
        self.outputs
            .iter()
            .map(|(name, source)| {
                let value = match source {
                    Source::Slot(place) => slots.get(*place).and_then(Clone::clone),
                    Source::Constant(place) => self.constants.get(*place).cloned(),
                    Source::Absent => None,
                };
                let value =
                    value.ok_or_else(|| RuntimeError::shape(name, "this output was not made"))?;
                Tensor::new(name, value.shape, value.data)
                    .map_err(|error| RuntimeError::shape(name, error.to_string()))
            })
            .collect()
    }
}
