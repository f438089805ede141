package iotconfig

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

func TestAJobStandsUnderItsKey(t *testing.T) {
	t.Parallel()
	updated := time.Unix(1_700_000_010, 0)
	docs := jobDocs([]JobStatus{
		{StreamName: "door", Jobs: []JobState{
			{Key: "Recorder", Status: health.Success, Updated: updated, Collected: updated},
			{Key: "Archiver", Status: health.UserError, Details: "It is\nfull.", Updated: updated},
		}},
		{StreamName: "yard"},
	}, true)
	got, err := json.Marshal(docs)
	if err != nil {
		t.Fatal(err)
	}
	want := `[{"Archiver":{"Status":"USER_ERROR","Details":"It is full.","LastUpdatedTime":1700000010},` +
		`"Recorder":{"Status":"SUCCESS","LastCollectedTime":1700000010,"LastUpdatedTime":1700000010},"StreamName":"door"},{"StreamName":"yard"}]`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
}
