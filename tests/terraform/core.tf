variable "count_of" { default = 13 }
variable "seconds" { default = 0 }
variable "size" {
  type    = number
  default = 1
}
resource "terraform_data" "vm" {
  count = var.count_of
  input = { n = count.index, size = var.size }
  provisioner "local-exec" { command = "sleep ${var.seconds}" }
}
output "ids" { value = terraform_data.vm[*].id }
