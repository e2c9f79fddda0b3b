variable "count_of" { default = 13 }
variable "seconds" { default = 0 }
variable "size" {
  type    = number
  default = 1
}
module "core" {
  source   = "./core"
  count_of = var.count_of
  seconds  = var.seconds
  size     = var.size
}
resource "terraform_data" "bucket" { input = "kept" }
output "address" { value = "http://${module.core.ids[0]}" }
