//! The workflows of the configuration in force, and the definitions that open runs keep to.
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use fairlead_plan::Violation;
use fairlead_wire::internal::{EngineConfig, WorkflowDefinition};
use fairlead_workflow::{Definition, Known, compile_config};

/// The workflows of a configuration, by name.
#[derive(Debug, Clone, Default)]
pub struct Workflows {
    by_name: BTreeMap<String, Arc<Definition>>,
}

impl Workflows {
    /// Compiles the workflows of a configuration.
    ///
    /// # Errors
    /// All violations of all definitions.
    pub fn compile(config: &EngineConfig) -> Result<Self, Vec<Violation>> {
        let by_name = compile_config(config)?
            .into_iter()
            .map(|one| (one.name.to_string(), one));
        Ok(Self {
            by_name: by_name.collect(),
        })
    }

    /// The definition of a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<Definition>> {
        self.by_name.get(name)
    }

    /// All definitions, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Definition>> {
        self.by_name.values()
    }
}

/// Definitions by version, those that were ever used: what runs keep to is in the store.
#[derive(Debug, Default)]
pub(super) struct Kept {
    compiled: HashMap<String, Arc<Definition>>,
    stored: HashSet<String>,
}

impl Kept {
    /// A definition as an open run has it.
    pub(super) fn get(&self, version: &str) -> Option<&Arc<Definition>> {
        self.compiled.get(version)
    }

    /// Takes a definition that a run begins to keep to. True when it is not in the store yet.
    pub(super) fn keep(&mut self, definition: &Arc<Definition>) -> bool {
        let version = definition.version.to_string();
        self.compiled
            .entry(version.clone())
            .or_insert_with(|| Arc::clone(definition));
        self.stored.insert(version)
    }

    /// Takes a stored definition. What it names may be gone from the configuration, which its runs find out when they
    /// come to it.
    ///
    /// # Errors
    /// It cannot be understood.
    pub(super) fn restore(&mut self, source: &WorkflowDefinition) -> Result<(), String> {
        let definition = compile_stored(source)?;
        self.stored.insert(source.version.clone());
        self.compiled.insert(source.version.clone(), Arc::new(definition));
        Ok(())
    }
}

/// Compiles a definition that was valid once: what it names need not be there any more.
pub(super) fn compile_stored(source: &WorkflowDefinition) -> Result<Definition, String> {
    let known = Known {
        tiers: &|_| true,
        models: &|_| true,
        workflows: &|_| true,
    };
    Definition::compile(source, &known).map_err(|violations| {
        let first = violations
            .first()
            .map_or_else(String::new, |one| format!("{}: {}", one.path, one.message));
        format!(
            "definition {} of workflow `{}` is not valid: {first}",
            source.version, source.name
        )
    })
}
