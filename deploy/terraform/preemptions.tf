# The audit log's word of preempted machines, on its way to the provisioner.
resource "google_pubsub_topic" "preempted" {
  name                       = "${var.cluster}-preempted"
  message_retention_duration = "3600s"

  depends_on = [google_project_service.used]
}

resource "google_pubsub_subscription" "preempted" {
  name                 = "${var.cluster}-provisioner"
  topic                = google_pubsub_topic.preempted.id
  ack_deadline_seconds = 30
  # An hour old, a preemption is known by polling.
  message_retention_duration = "3600s"

  expiration_policy {
    ttl = "" # never
  }
  retry_policy {
    minimum_backoff = "1s"
    maximum_backoff = "30s"
  }
}

resource "google_logging_project_sink" "preempted" {
  name                   = "${var.cluster}-preempted"
  destination            = "pubsub.googleapis.com/${google_pubsub_topic.preempted.id}"
  unique_writer_identity = true
  filter                 = <<-END
    logName="projects/${var.project}/logs/cloudaudit.googleapis.com%2Fsystem_event"
    resource.type="gce_instance"
    protoPayload.methodName="compute.instances.preempted"
    protoPayload.resourceName=~"/instances/${var.cluster}-"
  END

  depends_on = [google_project_service.used]
}

resource "google_pubsub_topic_iam_member" "sink" {
  topic  = google_pubsub_topic.preempted.id
  role   = "roles/pubsub.publisher"
  member = google_logging_project_sink.preempted.writer_identity
}

resource "google_pubsub_subscription_iam_member" "provisioner" {
  subscription = google_pubsub_subscription.preempted.id
  role         = "roles/pubsub.subscriber"
  member       = google_service_account.provisioner.member
}
