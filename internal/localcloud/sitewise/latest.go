package sitewise

import (
	"errors"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/awsapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/sitewisemodel"
)

// maxLatestEntries is the number of entries of BatchGetAssetPropertyValue. Source: its API reference.
const maxLatestEntries = 128

// getValue answers without a member where a property has no value yet.
func (r request) getValue(in target) (any, error) {
	k, _, _, err := r.find(in, "GetAssetPropertyValue", false)
	if err != nil {
		return nil, err
	}
	if v, ok := r.values.latest(k); ok {
		return map[string]any{"propertyValue": v}, nil
	}
	return nil, nil
}

type getEntry struct {
	target
	ID string `json:"entryId"`
}

// failedEntry is what is wrong with one entry of a batch.
type failedEntry struct {
	ID      string `json:"entryId"`
	Code    string `json:"errorCode"`
	Message string `json:"errorMessage"`
}

// failure makes an entry of an error that the operation may answer for one; others end the request.
func failure(id string, err error) (failedEntry, error) {
	var answered *awsapi.Error
	if !errors.As(err, &answered) {
		return failedEntry{}, err
	}
	return failedEntry{id, answered.Name, answered.Message}, nil
}

// checkEntries refuses a batch with too many entries, or with one id twice.
func checkEntries(ids []string, most int) error {
	if n := len(ids); n == 0 || n > most {
		return refused(sitewisemodel.InvalidRequest, "entries", "A request has 1 to %d entries, and this one has %d.", most, n)
	}
	had := map[string]bool{}
	for _, id := range ids {
		if had[id] {
			return refused(sitewisemodel.InvalidRequest, "entries.entryId", "The entryId %s is not the only one in the request.", id)
		}
		had[id] = true
	}
	return nil
}

type batchGetInput struct {
	Entries   []getEntry `json:"entries"`
	NextToken string     `json:"nextToken"`
}

// batchGetValue has everything in one answer: 128 values never fill a page of SiteWise's, which has 4 MB.
func (r request) batchGetValue(in batchGetInput) (any, error) {
	ids := make([]string, len(in.Entries))
	for i, e := range in.Entries {
		ids[i] = e.ID
	}
	if err := checkEntries(ids, maxLatestEntries); err != nil {
		return nil, err
	}
	if in.NextToken != "" {
		return nil, refused(sitewisemodel.InvalidRequest, "nextToken", "The nextToken is not one that an earlier answer had.")
	}
	done, failed := []map[string]any{}, []failedEntry{}
	for _, e := range in.Entries {
		k, _, _, err := r.find(e.target, "BatchGetAssetPropertyValue", false)
		if err != nil {
			entry, err := failure(e.ID, err)
			if err != nil {
				return nil, err
			}
			failed = append(failed, entry)
			continue
		}
		one := map[string]any{"entryId": e.ID}
		if v, ok := r.values.latest(k); ok {
			one["assetPropertyValue"] = v
		}
		done = append(done, one)
	}
	return map[string]any{"successEntries": done, "errorEntries": failed, "skippedEntries": []any{}}, nil
}
