# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2016,SC2034
#
# Odoo 19 as a tenant of demo and tests. Debian carries it in sid only; it runs on bookworm's
# Python, so the package is unpacked, not installed, over a bookworm root filesystem. The private
# apt configuration keeps sid away from this machine.

IMAGE=cutover.local/odoo:19
ENTRYPOINT='["/usr/bin/python3", "/usr/bin/odoo"]'

# Named differently in bookworm (python3-lxml-html-clean is part of python3-lxml, python3-pytz is
# python3-tz), only cosmetic (fonts-montserrat), or given in a fixed version below.
ODOO_LEFT_OUT='^(python3-lxml-html-clean|python3-pytz|fonts-montserrat|postgresql-client)$'
# The three libjs packages: the package's static files are links into them, and without them the
# first GET /web/login is a 500.
ODOO_ADDED=python3-lxml,python3-tz,python3-setuptools,python3-decorator,python3-pkg-resources
ODOO_ADDED+=,postgresql-client-15,ca-certificates,curl,libjs-jquery,libjs-jquery-form,libjs-underscore

recipe_rootfs() {
  local tar=$1 work=${1%/*} deb dependencies
  download_from_sid "$work" odoo-19
  deb=$(find "$work" -maxdepth 1 -name 'odoo-19_*.deb')
  dependencies=$(dpkg --field "$deb" Depends | tr , '\n' | sed 's/(.*//; s/|.*//; s/ //g; s/:any//' |
    grep -vE "$ODOO_LEFT_OUT" | paste -sd,)
  # Compiled here, because pods run with a read-only root or as another user. The translations are
  # 800 MB, half of the image, and demo and tests speak English.
  debian_rootfs bookworm "$dependencies,$ODOO_ADDED" "$tar" \
    --customize-hook="dpkg -x '$deb' \"\$1\"" \
    --customize-hook='chroot "$1" useradd -u 1000 -d /var/lib/odoo -m -s /usr/sbin/nologin odoo' \
    --customize-hook='chroot "$1" python3 -m compileall -q /usr/lib/python3/dist-packages/odoo >/dev/null 2>&1 || true' \
    --customize-hook='find "$1/usr/lib/python3/dist-packages" -path "*/i18n/*" -name "*.po*" -delete'
}

# download_from_sid DIRECTORY PACKAGE: fetches one package with apt lists of its own.
download_from_sid() {
  local apt=$1/apt mirror
  mirror=$(debian_mirror)
  mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial"
  printf 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s sid main\n' "$mirror" \
    >"$apt/sid.list"
  cat >"$apt/apt.conf" <<EOF
Dir::State::Lists "$apt/lists";
Dir::Cache "$apt/cache";
Dir::Etc::SourceList "$apt/sid.list";
Dir::Etc::SourceParts "/dev/null";
APT::Sandbox::User "root";
EOF
  (
    cd "$1" || exit
    export APT_CONFIG=$apt/apt.conf
    apt-get -qq update
    apt-get -qq download "$2"
  ) >&2
}
