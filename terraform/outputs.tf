# Known once module.core is there: each is read off an instance, so it is unknown before an apply.

output "nomad_address" {
  description = "URL of Nomad's API."
  value       = module.core.nomad_address
}

output "database_address" {
  description = "HOST:PORT of PostgreSQL."
  value       = module.core.database_address
}
