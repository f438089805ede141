// Package awsapi owns what the APIs of AWS have in common: their errors, the protocols that they are spoken in,
// the JSON of an operation, times and the tokens of lists. It must not know any service's operations.
package awsapi
