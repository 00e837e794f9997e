# Machines have no address of their own outside: they get out through NAT, and nobody gets in.
resource "google_compute_network" "shoal" {
  name                    = var.cluster
  auto_create_subnetworks = false

  depends_on = [google_project_service.used]
}

resource "google_compute_subnetwork" "machines" {
  for_each                 = var.regions
  name                     = "${var.cluster}-${each.key}"
  region                   = each.key
  ip_cidr_range            = each.value
  network                  = google_compute_network.shoal.id
  private_ip_google_access = true
}

resource "google_compute_router" "out" {
  for_each = var.regions
  name     = "${var.cluster}-${each.key}"
  region   = each.key
  network  = google_compute_network.shoal.id
}

resource "google_compute_router_nat" "out" {
  for_each                           = var.regions
  name                               = "${var.cluster}-${each.key}"
  region                             = each.key
  router                             = google_compute_router.out[each.key].name
  nat_ip_allocate_option             = "AUTO_ONLY"
  source_subnetwork_ip_ranges_to_nat = "ALL_SUBNETWORKS_ALL_IP_RANGES"
}

# Ranks of a gang talk among themselves on whatever port they agree on.
resource "google_compute_firewall" "among_workers" {
  name        = "${var.cluster}-among-workers"
  network     = google_compute_network.shoal.id
  direction   = "INGRESS"
  source_tags = ["shoal-worker"]
  target_tags = ["shoal-worker"]

  allow {
    protocol = "tcp"
  }
  allow {
    protocol = "udp"
  }
}

resource "google_compute_firewall" "to_nats" {
  count              = length(var.nats_ranges) > 0 ? 1 : 0
  name               = "${var.cluster}-to-nats"
  network            = google_compute_network.shoal.id
  direction          = "EGRESS"
  destination_ranges = var.nats_ranges
  target_tags        = ["shoal-worker"]

  allow {
    protocol = "tcp"
    ports    = ["4222"]
  }
}
