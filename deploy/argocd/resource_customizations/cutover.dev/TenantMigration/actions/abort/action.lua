-- SPDX-License-Identifier: Apache-2.0
-- A command is an annotation with a new token; the operator answers it in status.handled.abort. The
-- object's version is new with every change of it, and so is a token that is made of it.
obj.metadata.annotations = obj.metadata.annotations or {}
obj.metadata.annotations["cutover.dev/abort"] = "argocd-" .. obj.metadata.resourceVersion
return obj
