// Package account owns what all services of the stand-in say of the AWS account that they play.
package account

import "github.com/kvs-edge/kvs-edge-agent/internal/arn"

// Where everything is, unless it is to be elsewhere.
const (
	Region = "us-west-2"
	ID     = "123456789012"
)

// RoleAlias is the one that devices get their credentials with.
const RoleAlias = "kvs-edge-local"

// Home is the region in which the account has everything; the zero value is Region.
type Home string

// Region is its name.
func (h Home) Region() string {
	if h == "" {
		return Region
	}
	return string(h)
}

// ARN names a resource of the account there.
func (h Home) ARN(service, resource string) string {
	return arn.ARN{Partition: arn.PartitionOf(h.Region()).ID, Service: service, Region: h.Region(), Account: ID, Resource: resource}.String()
}

// Global names a resource that is in no region: users and roles.
func (h Home) Global(service, resource string) string {
	return arn.ARN{Partition: arn.PartitionOf(h.Region()).ID, Service: service, Account: ID, Resource: resource}.String()
}
