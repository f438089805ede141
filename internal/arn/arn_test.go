package arn

import (
	"testing"
)

func TestNamesAreTakenApartAndPutTogether(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]ARN{
		"arn:aws:iot:us-west-2:123456789012:thing/hub-1":             {"aws", "iot", "us-west-2", "123456789012", "thing/hub-1"},
		"arn:aws-us-gov:iot:us-gov-west-1:123456789012:thing/hub-1":  {"aws-us-gov", "iot", "us-gov-west-1", "123456789012", "thing/hub-1"},
		"arn:aws-cn:secretsmanager:cn-north-1:1:secret:door-a1B2c3":  {"aws-cn", "secretsmanager", "cn-north-1", "1", "secret:door-a1B2c3"},
		"arn:aws-iso-b:kinesisvideo:us-isob-east-1:1:stream/door/17": {"aws-iso-b", "kinesisvideo", "us-isob-east-1", "1", "stream/door/17"},
		"arn:aws:iam::123456789012:role/hub":                         {"aws", "iam", "", "123456789012", "role/hub"},
	} {
		got, ok := Parse(text)
		if !ok || got != want || got.String() != text {
			t.Errorf("%s is %+v (%v), want %+v", text, got, ok, want)
		}
	}
	for _, text := range []string{"", "arn", "arn:aws:iot:us-west-2:1", "arn::iot:us-west-2:1:thing/h", "arn:aws::us-west-2:1:thing/h",
		"ARN:aws:iot:us-west-2:1:thing/h", "arn:aws:iot:us-west-2:1:", "door"} {
		if got, ok := Parse(text); ok || got != (ARN{}) {
			t.Errorf("%q is %+v, want none", text, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("arn:aws:iot:us-west-2:123456789012:thing/hub-1")
	f.Add("arn:aws:secretsmanager:us-west-2:1:secret:a:b")
	f.Add("arn:::::")
	f.Fuzz(func(t *testing.T, text string) {
		if a, ok := Parse(text); ok && a.String() != text {
			t.Errorf("%q became %q", text, a)
		}
	})
}

func TestEachRegionIsInItsPartition(t *testing.T) {
	t.Parallel()
	for region, want := range map[string]string{
		"us-east-1": "aws", "eu-central-1": "aws", "mx-central-1": "aws", "us-west-2": "aws", "cn-north-1": "aws-cn", "cn-northwest-1": "aws-cn",
		"us-gov-west-1": "aws-us-gov", "us-gov-east-1": "aws-us-gov", "us-iso-east-1": "aws-iso", "us-isob-west-1": "aws-iso-b",
		"eu-isoe-west-1": "aws-iso-e", "us-isof-south-1": "aws-iso-f", "eusc-de-east-1": "aws-eusc", "": "aws",
	} {
		if got := PartitionOf(region).ID; got != want {
			t.Errorf("%s is in %s, want %s", region, got, want)
		}
	}
}
