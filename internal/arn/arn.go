// Package arn owns the names of resources at AWS, and the partitions that AWS consists of, with the suffixes of their
// hosts. It must not know any service.
package arn

import "strings"

// ARN is the name of a resource: arn:aws-cn:secretsmanager:cn-north-1:123456789012:secret:door-a1B2c3.
// Source: AWS General Reference, Amazon Resource Names.
type ARN struct{ Partition, Service, Region, Account, Resource string }

// parts is how many a name has; the last one may have colons of its own.
const parts = 6

// Parse takes a name apart. ok is false for any other text.
func Parse(text string) (a ARN, ok bool) {
	p := strings.SplitN(text, ":", parts)
	if len(p) != parts || p[0] != "arn" || p[1] == "" || p[2] == "" || p[5] == "" {
		return ARN{}, false
	}
	return ARN{Partition: p[1], Service: p[2], Region: p[3], Account: p[4], Resource: p[5]}, true
}

// String puts it together again.
func (a ARN) String() string {
	return strings.Join([]string{"arn", a.Partition, a.Service, a.Region, a.Account, a.Resource}, ":")
}

// Partition is a group of regions that share no account with other groups.
type Partition struct {
	ID        string // the first part of its ARNs: aws-cn
	prefix    string // of the names of its regions
	Suffix    string // of its hosts with IPv4 alone, without a dot in front
	DualStack string // of its hosts with IPv4 and IPv6
}

// Partitions lists all; the last one has the regions that no other has.
// Source: aws-sdk-go-v2, internal/endpoints/awsrulesfn, partitions.
func Partitions() []Partition {
	return []Partition{
		{"aws-cn", "cn-", "amazonaws.com.cn", "api.amazonwebservices.com.cn"},
		{"aws-us-gov", "us-gov-", "amazonaws.com", "api.aws"},
		{"aws-iso", "us-iso-", "c2s.ic.gov", "api.aws.ic.gov"},
		{"aws-iso-b", "us-isob-", "sc2s.sgov.gov", "api.aws.scloud"},
		{"aws-iso-e", "eu-isoe-", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"},
		{"aws-iso-f", "us-isof-", "csp.hci.ic.gov", "api.aws.hci.ic.gov"},
		{"aws-eusc", "eusc-", "amazonaws.eu", "api.amazonwebservices.eu"},
		{"aws", "", "amazonaws.com", "api.aws"},
	}
}

// PartitionOf returns the partition that a region belongs to.
func PartitionOf(region string) Partition {
	list := Partitions()
	for _, p := range list {
		if strings.HasPrefix(region, p.prefix) {
			return p
		}
	}
	return list[len(list)-1]
}
