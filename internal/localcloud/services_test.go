package localcloud

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/google/go-cmp/cmp"
)

func TestSecrets(t *testing.T) {
	t.Parallel()
	c := start(t, Options{})
	ctx := t.Context()
	user := secretsmanager.NewFromConfig(userConfig(t, c))
	device := secretsmanager.NewFromConfig(deviceConfig(t, c, hub))

	made, err := user.CreateSecret(ctx, &secretsmanager.CreateSecretInput{Name: aws.String("camera"), SecretString: aws.String("one")})
	must(t, err)
	_, err = user.CreateSecret(ctx, &secretsmanager.CreateSecretInput{Name: aws.String("camera"), SecretString: aws.String("one")})
	wantError(t, err, "ResourceExistsException", 400)
	_, err = user.PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{SecretId: made.ARN, SecretString: aws.String("two")})
	must(t, err)
	_, err = device.PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{SecretId: made.ARN, SecretString: aws.String("three")})
	wantError(t, err, "AccessDeniedException", 400)
	for _, id := range []string{*made.ARN, "camera", (*made.ARN)[:len(*made.ARN)-7]} {
		got, err := device.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &id})
		must(t, err)
		if *got.SecretString != "two" || *got.ARN != *made.ARN || *got.Name != "camera" || got.CreatedDate.IsZero() || *got.VersionId == *made.VersionId {
			t.Errorf("%s is %+v", id, got)
		}
	}
	_, err = device.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: aws.String("other")})
	wantError(t, err, "ResourceNotFoundException", 400)
	_, err = device.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: made.ARN, VersionId: made.VersionId})
	wantError(t, err, "ResourceNotFoundException", 400)
	_, err = user.DescribeSecret(ctx, &secretsmanager.DescribeSecretInput{SecretId: made.ARN})
	wantError(t, err, "UnknownOperationException", 404)

	c.Faults().RefuseSecret(*made.ARN, "AccessDeniedException")
	_, err = device.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: aws.String("camera")})
	wantError(t, err, "AccessDeniedException", 400)
	c.Faults().RefuseSecret(*made.ARN, "")
	_, err = device.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: aws.String("camera")})
	must(t, err)

	again, err := c.PutSecret("camera", "four")
	must(t, err)
	_, err = c.PutSecret("another", "x")
	must(t, err)
	if again != *made.ARN {
		t.Errorf("the ARN changed from %s to %s", *made.ARN, again)
	}
	var names []string
	pages := secretsmanager.NewListSecretsPaginator(user, &secretsmanager.ListSecretsInput{MaxResults: aws.Int32(1)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		must(t, err)
		for _, s := range page.SecretList {
			names = append(names, *s.Name)
		}
	}
	if diff := cmp.Diff([]string{"another", "camera"}, names); diff != "" {
		t.Error(diff)
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	clock := newClock()
	c := start(t, Options{Now: clock.Now})
	client := cloudwatch.NewFromConfig(deviceConfig(t, c, hub))
	at := time.UnixMilli(1700000000500).UTC()
	_, err := client.PutMetricData(t.Context(), &cloudwatch.PutMetricDataInput{Namespace: aws.String("KVSEdge"), MetricData: []cwtypes.MetricDatum{
		{MetricName: aws.String("Frames"), Value: aws.Float64(25), Unit: cwtypes.StandardUnitCount, Timestamp: &at, Dimensions: []cwtypes.Dimension{{Name: aws.String("Stream"), Value: aws.String("cam")}}},
		{MetricName: aws.String("Lag"), Values: []float64{1, 2.5}, Counts: []float64{1, 2}},
		{MetricName: aws.String("Size"), StatisticValues: &cwtypes.StatisticSet{Sum: aws.Float64(9), SampleCount: aws.Float64(3), Minimum: aws.Float64(2), Maximum: aws.Float64(4)}},
	}})
	must(t, err)
	want := []MetricPoint{
		{Namespace: "KVSEdge", Name: "Frames", Unit: "Count", Dimensions: map[string]string{"Stream": "cam"}, Time: at, Value: 25, Count: 1},
		{Namespace: "KVSEdge", Name: "Lag", Dimensions: map[string]string{}, Time: clock.Now(), Value: 6, Count: 3},
		{Namespace: "KVSEdge", Name: "Size", Dimensions: map[string]string{}, Time: clock.Now(), Value: 9, Count: 3},
	}
	if diff := cmp.Diff(want, c.Metrics()); diff != "" {
		t.Error(diff)
	}
	var many []cwtypes.MetricDatum // the SDK compresses what is greater than 10 KiB
	for i := range 1001 {
		many = append(many, cwtypes.MetricDatum{MetricName: aws.String(fmt.Sprintf("a-metric-with-a-long-name-%d", i)), Value: aws.Float64(1)})
	}
	_, err = client.PutMetricData(t.Context(), &cloudwatch.PutMetricDataInput{Namespace: aws.String("Many"), MetricData: many[:1000]})
	must(t, err)
	if got := len(c.Metrics()); got != 1003 {
		t.Errorf("%d points", got)
	}
	for name, in := range map[string]*cloudwatch.PutMetricDataInput{
		"AWS's namespace": {Namespace: aws.String("AWS/EC2"), MetricData: many[:1]},
		"too many":        {Namespace: aws.String("X"), MetricData: many},
		"no value":        {Namespace: aws.String("X"), MetricData: []cwtypes.MetricDatum{{MetricName: aws.String("a")}}},
	} {
		_, err = client.PutMetricData(t.Context(), in)
		if err == nil || !strings.Contains(err.Error(), "InvalidParameterValue") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
