interface "outside" {
address="198.51.100.1/24"
}
