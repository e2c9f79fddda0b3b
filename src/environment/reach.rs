//! Clients for what an environment is made of.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use super::facts::{Environment, Outputs};
use crate::base::{Diagnostic, text};
use crate::db::{Database, DbError};
use crate::engine::Facts;
use crate::hcl::Expr;
use crate::http::{Tls, TlsError, Transport};
use crate::nomad::{Access, Client};
use crate::settings::TokenSource;
use crate::terraform::TerraformError;

/// Why something of an environment can't be reached.
#[derive(Debug, thiserror::Error)]
pub enum ReachError {
    #[error("{0} is not known yet: it comes from Terraform's outputs")]
    NotKnownYet(String),
    #[error("the environment '{environment}' has no {what}; {help}")]
    NotConfigured { environment: String, what: String, help: String },
    #[error("the environment '{environment}' isn't up: Terraform has no output '{output}' ({place})")]
    NotUp { environment: String, output: String, place: String },
    #[error("{0}")]
    Wrong(Diagnostic),
    #[error("Terraform's outputs can't be read")]
    Terraform(#[from] TerraformError),
    #[error(transparent)]
    Database(#[from] DbError),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("the token file {path}: {reason}")]
    TokenFile { path: String, reason: String },
}

impl ReachError {
    /// What to do about it.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::NotUp { environment, .. } => Some(format!("bring it up: blackstart start {environment}")),
            _ => None,
        }
    }
}

impl Environment {
    /// Reads Terraform's outputs, unless they are known or still to change.
    pub async fn read_outputs(&self) -> Result<(), TerraformError> {
        if !matches!(self.read().outputs, Outputs::NotRead) {
            return Ok(());
        }
        let Some(terraform) = self.terraform() else { return Ok(()) };
        let state = terraform.state().await?;
        self.set_outputs(state.outputs.into_iter().map(|(name, output)| (name, output.value)).collect());
        Ok(())
    }

    /// A string of the settings that may name Terraform's outputs.
    async fn late_string(&self, expr: &Expr, what: &str) -> Result<String, ReachError> {
        if expr.references().iter().any(|reference| reference.root.text == "terraform") {
            self.read_outputs().await?;
        }
        if let Some(output) = self.missing_output(expr) {
            let (environment, place) = (self.name().to_owned(), expr.span.to_string());
            return Err(ReachError::NotUp { environment, output, place });
        }
        let value = expr.eval(&self.settings_scope()).map_err(ReachError::Wrong)?;
        if !value.is_wholly_known() {
            return Err(ReachError::NotKnownYet(what.to_owned()));
        }
        value.as_str().map(str::to_owned).ok_or_else(|| {
            let message = format!("{what} must be a string, not {}", value.type_name());
            ReachError::Wrong(Diagnostic::error(message).at(&expr.span))
        })
    }

    /// An output that is named and that Terraform's state doesn't have.
    fn missing_output(&self, expr: &Expr) -> Option<String> {
        let live = self.read();
        let Outputs::Known(outputs) = &live.outputs else { return None };
        let named = expr.references().into_iter().filter(|reference| reference.root.text == "terraform");
        let mut named = named.filter_map(|reference| match reference.path.as_slice() {
            [kind, output, ..] if kind.text == "output" => Some(output.text.clone()),
            _ => None,
        });
        named.find(|output| outputs.get(output).is_none_or(serde_json::Value::is_null))
    }

    /// Nomad's address: `--nomad-address`, the block's, or NOMAD_ADDR where `inherit` names it.
    pub async fn nomad_address(&self) -> Result<String, ReachError> {
        if let Some(address) = &self.parts.nomad_address {
            return Ok(address.clone());
        }
        let settings = self.settings().nomad.as_ref();
        if let Some(expr) = settings.and_then(|nomad| nomad.address.as_ref()) {
            return self.late_string(expr, "Nomad's address").await;
        }
        if let Some(address) = self.variable("NOMAD_ADDR") {
            return Ok(address);
        }
        Err(ReachError::NotConfigured {
            environment: self.name().to_owned(),
            what: "Nomad address".into(),
            help: "set nomad { address = … }, or name NOMAD_ADDR in inherit to take the shell's".into(),
        })
    }

    /// A client for this environment's Nomad. Nothing is sent yet.
    pub async fn nomad(&self) -> Result<Client, ReachError> {
        let address = self.nomad_address().await?;
        let settings = self.settings().nomad.as_ref();
        let token = match settings.and_then(|nomad| nomad.token.as_ref()) {
            Some(TokenSource::Value(expr)) => Some(self.late_string(expr, "Nomad's token").await?),
            Some(TokenSource::File(path, _)) => Some(self.token_file(path)?),
            None => self.variable("NOMAD_TOKEN"),
        };
        if let Some(token) = &token {
            self.secrets().add(token);
        }
        let region = settings.and_then(|nomad| nomad.region.clone());
        let access = Access {
            token,
            namespace: self.namespace_given(),
            region: region.or_else(|| self.variable("NOMAD_REGION")),
        };
        let transport = self.transport_to(&address)?;
        Ok(Client::new(transport, &address, access, self.clock().clone()))
    }

    /// The namespace that this environment works in; none where a variable may say so that isn't known.
    pub fn nomad_namespace(&self) -> Option<String> {
        let given = self.namespace_given();
        if given.is_none() && !self.parts.whole {
            return None;
        }
        Some(given.unwrap_or_else(|| "default".to_owned()))
    }

    fn namespace_given(&self) -> Option<String> {
        let own = self.settings().nomad.as_ref().and_then(|nomad| nomad.namespace.clone());
        own.or_else(|| self.variable("NOMAD_NAMESPACE"))
    }

    /// What a variable of the stock client says; an empty one says nothing.
    fn variable(&self, name: &str) -> Option<String> {
        self.parts.variables.get(name).filter(|value| !value.is_empty()).cloned()
    }

    /// The environment's own transport, or one with its certificates: the same for all clients of an address,
    /// so that they share connections.
    fn transport_to(&self, address: &str) -> Result<Arc<dyn Transport>, ReachError> {
        let named = self.settings().nomad.as_ref().map_or_else(Tls::default, |nomad| Tls {
            ca_cert: nomad.ca_cert.clone(),
            client_cert: nomad.client_cert.clone(),
            client_key: nomad.client_key.clone(),
            server_name: nomad.tls_server_name.clone(),
        });
        let tls = named.or(Tls::of_variables(|name| self.variable(name)));
        if self.is_rehearsal() || !tls.wants_own(address) {
            return Ok(Arc::clone(self.transport()));
        }
        if let Some((_, known)) = self.read().nomad.as_ref().filter(|(at, _)| at == address) {
            return Ok(Arc::clone(known));
        }
        let made: Arc<dyn Transport> = Arc::new(tls.below(self.root()).sockets(address)?);
        self.write().nomad = Some((address.to_owned(), Arc::clone(&made)));
        Ok(made)
    }

    fn token_file(&self, path: &std::path::Path) -> Result<String, ReachError> {
        let path = self.root().join(path);
        let failed = |reason: String| ReachError::TokenFile { path: path.display().to_string(), reason };
        let mode = std::fs::metadata(&path).map_err(|e| failed(e.to_string()))?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(failed(format!("others may read it (mode {:o}); chmod 600", mode & 0o777)));
        }
        let text = std::fs::read_to_string(&path).map_err(|e| failed(e.to_string()))?;
        Ok(text.trim().to_owned())
    }

    /// One of this environment's databases.
    pub async fn database(&self, name: &str) -> Result<Database, ReachError> {
        let databases = &self.settings().databases;
        let expr = databases.get(name).ok_or_else(|| ReachError::NotConfigured {
            environment: self.name().to_owned(),
            what: format!("database '{name}'"),
            help: match text::nearest(name, databases.keys().map(String::as_str)) {
                Some(near) => format!("did you mean '{near}'?"),
                None => format!("add `database \"{name}\" {{ url = … }}`"),
            },
        })?;
        let url = self.late_string(expr, &format!("the database '{name}'")).await?;
        Ok(Database::from_url(&url)?)
    }

    /// `:now` and the like for statements, over what a step or probe gives.
    pub fn params(&self, given: serde_json::Map<String, serde_json::Value>) -> crate::db::Params {
        let now = serde_json::json!(self.clock().now().as_millisecond() as f64 / 1000.0);
        let mut params = crate::db::Params::from([("now".to_owned(), now)]);
        let scope = self.scope();
        for name in ["downtime", "outage"] {
            if let Some(value) = scope.get(name).filter(|value| value.is_wholly_known()) {
                params.insert(name.to_owned(), value.to_json());
            }
        }
        params.extend(given);
        params
    }
}
