// Package account owns what all services of the stand-in say of the AWS account that they play.
package account

// Where everything is.
const (
	Region = "us-west-2"
	ID     = "123456789012"
)

// RoleAlias is the one that devices get their credentials with.
const RoleAlias = "kvs-edge-local"
