output "nomad_address" {
  value = terraform_data.tf_tete.output.nomad_address
}

output "database_address" {
  value = terraform_data.tf_tutu.output.database_address
}
