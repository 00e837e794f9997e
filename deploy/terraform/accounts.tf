# Two accounts: the provisioner makes and deletes machines; a worker reads and writes the bucket.
resource "google_service_account" "provisioner" {
  account_id   = "${var.cluster}-provisioner"
  display_name = "Shoal: starts and stops machines"

  depends_on = [google_project_service.used]
}

resource "google_service_account" "worker" {
  account_id   = "${var.cluster}-worker"
  display_name = "Shoal: runs trials"

  depends_on = [google_project_service.used]
}

# What the driver calls, and nothing else:
# https://cloud.google.com/compute/docs/reference/rest/v1/instances/bulkInsert#iam-permissions
resource "google_project_iam_custom_role" "provisioner" {
  role_id = "${var.cluster}Provisioner"
  title   = "Shoal provisioner"
  permissions = [
    "compute.advice.capacity",
    "compute.disks.create",
    "compute.globalOperations.get",
    "compute.images.useReadOnly",
    "compute.instanceTemplates.create",
    "compute.instanceTemplates.get",
    "compute.instanceTemplates.useReadOnly",
    "compute.instances.create",
    "compute.instances.delete",
    "compute.instances.get",
    "compute.instances.list",
    "compute.instances.setLabels",
    "compute.instances.setMetadata",
    "compute.instances.setServiceAccount",
    "compute.instances.setTags",
    "compute.machineTypes.get",
    "compute.networks.use",
    "compute.subnetworks.use",
    "compute.subnetworks.useExternalIp",
    "compute.zoneOperations.get",
    "compute.zoneOperations.list",
  ]

  depends_on = [google_project_service.used]
}

resource "google_project_iam_member" "provisioner" {
  project = var.project
  role    = google_project_iam_custom_role.provisioner.id
  member  = google_service_account.provisioner.member
}

# It may give machines the worker's account, and no other.
resource "google_service_account_iam_member" "as_worker" {
  service_account_id = google_service_account.worker.name
  role               = "roles/iam.serviceAccountUser"
  member             = google_service_account.provisioner.member
}
