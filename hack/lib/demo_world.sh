# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# A world to move tenants in: three PostgreSQL servers and one real Odoo tenant, as a platform has
# them. Shared by hack/demo and the end-to-end tests. Needs lib/common.sh and lib/use_cluster.sh.

DEMO_SAMPLES=$REPOSITORY/hack/samples

# demo_databases: the three servers, ready.
demo_databases() {
  kubectl apply --filename "$DEMO_SAMPLES/demo/databases.yaml" >/dev/null
  local server
  for server in pg-shared pg-dedicated pg-dedicated-2; do
    kubectl --namespace databases rollout status --timeout 10m "statefulset/$server" >/dev/null
  done
}

# demo_sql SERVER DATABASE SQL: one statement as the superuser; prints the bare answer.
demo_sql() {
  kubectl --namespace databases exec "$1-0" -- \
    env PGPASSWORD=demo-superuser psql -h 127.0.0.1 -U postgres -d "$2" -XAtq -v ON_ERROR_STOP=1 -c "$3"
}

# demo_tenant: the tenant's database on pg-shared, filled by Odoo itself, and Odoo serving it.
# DEMO_MODULES: Odoo's modules, fewer of which are quicker.
demo_tenant() {
  if [ "$(demo_sql pg-shared postgres "select count(*) from pg_roles where rolname = 'acme'")" = 0 ]; then
    demo_sql pg-shared postgres "create role acme login password 'acme-secret'"
    demo_sql pg-shared postgres \
      "create database acme owner acme template template0 encoding 'UTF8' lc_collate 'C'"
  fi
  sed "s/base,contacts,crm/${DEMO_MODULES:-base,contacts,crm}/" "$DEMO_SAMPLES/demo/tenant.yaml" |
    kubectl apply --filename - >/dev/null
  kubectl --namespace acme wait --for condition=complete --timeout 20m job/odoo-init >/dev/null
  kubectl --namespace acme scale deployment/odoo --replicas 1 >/dev/null
  kubectl --namespace acme rollout status --timeout 10m deployment/odoo >/dev/null
}

# demo_login_page: the HTTP status of the tenant's login page, as a user gets it.
demo_login_page() {
  curl --silent --output /dev/null --max-time 5 --write-out '%{http_code}' \
    --header 'Host: acme.example.test' "$CUTOVER_INGRESS_URL/web/login" || true
}

# demo_wait_for_login_page SECONDS: until the login page answers 200.
demo_wait_for_login_page() {
  local left=$(($1 * 2))
  until [ "$(demo_login_page)" = 200 ]; do
    left=$((left - 1))
    [ "$left" -gt 0 ] || die "the tenant's login page did not answer 200 within $1 s"
    sleep 0.5
  done
}

# demo_placed: the servers and the placement under the operator's care, ready.
demo_placed() {
  kubectl apply --filename "$DEMO_SAMPLES/servers.yaml" --filename "$DEMO_SAMPLES/placement.yaml" >/dev/null
  kubectl wait --for condition=Ready --timeout 5m dbs/pg-shared dbs/pg-dedicated dbs/pg-dedicated-2 >/dev/null
  kubectl --namespace acme wait --for condition=Ready --timeout 5m dbp/acme >/dev/null
}

# demo_remove: everything of the demo, from a cluster that may be the user's own. Migrations first,
# while the operator that undoes them is still there.
demo_remove() {
  kubectl --namespace acme delete tm --all --ignore-not-found --timeout 3m >/dev/null 2>&1 || true
  # The end-to-end tests' second tenant.
  kubectl --namespace shop delete tm --all --ignore-not-found --timeout 3m >/dev/null 2>&1 || true
  kubectl delete --ignore-not-found --timeout 2m \
    --filename "$DEMO_SAMPLES/placement.yaml" --filename "$DEMO_SAMPLES/servers.yaml" >/dev/null 2>&1 || true
  "$REPOSITORY/hack/deploy" --uninstall
  kubectl delete namespace acme shop databases --ignore-not-found --timeout 3m >/dev/null
}
