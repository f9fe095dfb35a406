# SPDX-License-Identifier: Apache-2.0
#
# The fuzz targets, each a source beside this file with its corpus in corpus/NAME.
set(CUTOVER_FUZZ_TARGETS watch_framing api_decode kubeconfig odoo_conf sql_tokens resource_version
                         pgoutput lsn)
