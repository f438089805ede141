package health

// StreamJob is a kind of job that the streams of a hub have, with its names in everything that lists jobs. The agent's table of
// jobs has one in each row, and hands them to status, metrics and the status of jobs in the cloud.
type StreamJob struct {
	Name   string // in health, status, changes and logs
	Cloud  string // its key in jobs/status, after the fields of DescribeEdgeConfiguration: "Recorder" of RecorderStatus
	Metric string // its value of CloudWatch's dimension JobType; the counts have it in the plural
}

// The jobs of streams.
var (
	RecorderJob = StreamJob{JobRecorder, "Recorder", "RecordJob"}
	UploaderJob = StreamJob{JobUploader, "Uploader", "UploadJob"}

	// StreamJobs are all of them, in the order in which they stop. A hub without the cloud has fewer.
	StreamJobs = []StreamJob{RecorderJob, UploaderJob}
)

// jobNames are the names of all jobs of streams, as declarations have them.
func jobNames() []string {
	names := make([]string, len(StreamJobs))
	for i, job := range StreamJobs {
		names[i] = job.Name
	}
	return names
}
