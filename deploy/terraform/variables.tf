variable "project" {
  description = "The project in which machines are made."
  type        = string
}

variable "region" {
  description = "Where the bucket and the service's own things are."
  type        = string
}

variable "regions" {
  description = "Regions in which there may be machines, each with a range of addresses."
  type        = map(string)
  # {"us-central1" = "10.10.0.0/20", "us-east1" = "10.10.16.0/20"}
}

variable "cluster" {
  description = "The installation's name: SHOAL_CLUSTER of the provisioner."
  type        = string
  default     = "shoal"

  validation {
    condition     = can(regex("^[a-z][a-z0-9]{0,15}$", var.cluster))
    error_message = "At most 16 small letters and digits, a letter first."
  }
}

variable "nats_ranges" {
  description = "Where NATS is: the only addresses beside their own that workers must reach."
  type        = list(string)
  default     = []
}

variable "checkpoint_days" {
  description = "Days after which noncurrent versions of checkpoints are deleted."
  type        = number
  default     = 7
}
