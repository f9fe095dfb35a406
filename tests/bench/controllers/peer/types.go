// SPDX-License-Identifier: Apache-2.0

package main

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// As much of crds/ as the benchmark's objects have. The copying functions are what controller-gen
// would write.

type TenantMigration struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              TenantMigrationSpec   `json:"spec"`
	Status            TenantMigrationStatus `json:"status,omitempty"`
}

type TenantMigrationSpec struct {
	PlacementRef NameReference   `json:"placementRef"`
	Target       TargetReference `json:"target"`
	Strategy     string          `json:"strategy,omitempty"`
	Backup       Backup          `json:"backup,omitempty"`
	Copy         Copy            `json:"copy,omitempty"`
	Suspend      bool            `json:"suspend,omitempty"`
}

type NameReference struct {
	Name string `json:"name"`
}

type TargetReference struct {
	ServerName string `json:"serverName"`
}

type Backup struct {
	Mode      string `json:"mode,omitempty"`
	ClaimName string `json:"claimName,omitempty"`
}

type Copy struct {
	Jobs int `json:"jobs,omitempty"`
}

type TenantMigrationStatus struct {
	Phase              string             `json:"phase,omitempty"`
	Message            string             `json:"message,omitempty"`
	ObservedGeneration int64              `json:"observedGeneration,omitempty"`
	Conditions         []metav1.Condition `json:"conditions,omitempty"`
	Stages             []Stage            `json:"stages,omitempty"`
	Progress           Progress           `json:"progress,omitempty"`
}

type Stage struct {
	Name        string       `json:"name"`
	State       string       `json:"state"`
	StartedAt   *metav1.Time `json:"startedAt,omitempty"`
	CompletedAt *metav1.Time `json:"completedAt,omitempty"`
	Message     string       `json:"message,omitempty"`
}

type Progress struct {
	BytesCopied int64 `json:"bytesCopied,omitempty"`
	BytesTotal  int64 `json:"bytesTotal,omitempty"`
}

type TenantMigrationList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []TenantMigration `json:"items"`
}

func (from *TenantMigration) DeepCopyInto(to *TenantMigration) {
	*to = *from
	from.ObjectMeta.DeepCopyInto(&to.ObjectMeta)
	if from.Status.Conditions != nil {
		to.Status.Conditions = make([]metav1.Condition, len(from.Status.Conditions))
		for i := range from.Status.Conditions {
			from.Status.Conditions[i].DeepCopyInto(&to.Status.Conditions[i])
		}
	}
	if from.Status.Stages != nil {
		to.Status.Stages = make([]Stage, len(from.Status.Stages))
		for i, stage := range from.Status.Stages {
			stage.StartedAt = stage.StartedAt.DeepCopy()
			stage.CompletedAt = stage.CompletedAt.DeepCopy()
			to.Status.Stages[i] = stage
		}
	}
}

func (from *TenantMigration) DeepCopyObject() runtime.Object {
	to := new(TenantMigration)
	from.DeepCopyInto(to)
	return to
}

func (from *TenantMigrationList) DeepCopyObject() runtime.Object {
	to := new(TenantMigrationList)
	*to = *from
	from.ListMeta.DeepCopyInto(&to.ListMeta)
	to.Items = make([]TenantMigration, len(from.Items))
	for i := range from.Items {
		from.Items[i].DeepCopyInto(&to.Items[i])
	}
	return to
}
