interface "outside" {
