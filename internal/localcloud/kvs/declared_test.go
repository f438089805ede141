package kvs

import (
	"errors"
	"strings"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/awsapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/kvsmodel"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/state"
)

func TestAnErrorThatIsNotDeclaredIsAFailureOfTheStandIn(t *testing.T) {
	t.Parallel()
	o := kvsmodel.ByName("DescribeEdgeConfiguration")
	for _, err := range []error{nil, state.ErrClosed, notFound("StreamName", "cam")} {
		if got := onlyDeclared(o, err); got != err {
			t.Errorf("%v becomes %v", err, got)
		}
	}
	undeclared := noDataRetention(&streamRecord{Name: "cam"})
	var answer *awsapi.Error
	if got := onlyDeclared(o, undeclared); got == nil || errors.As(got, &answer) || !strings.Contains(got.Error(), "does not declare") {
		t.Errorf("an undeclared error becomes %v", got)
	}
}
