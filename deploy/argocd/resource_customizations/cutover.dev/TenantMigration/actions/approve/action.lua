-- SPDX-License-Identifier: Apache-2.0
-- A command is an annotation with a new token; the operator answers it in status.handled.approve. The
-- object's version is new with every change of it, and so is a token that is made of it.
obj.metadata.annotations = obj.metadata.annotations or {}
obj.metadata.annotations["cutover.dev/approve"] = "argocd-" .. obj.metadata.resourceVersion
return obj
