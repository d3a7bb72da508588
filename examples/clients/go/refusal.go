package main

import (
	"errors"
	"slices"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"
)

// refusal is what a refused call says: its code, and the details that programs look at.
func refusal(err error) (object, error) {
	if err == nil {
		return nil, errors.New("the call was not refused")
	}
	refused := status.Convert(err)
	reason, metadata, fields, retry := "", map[string]string{}, []string{}, false
	for _, detail := range refused.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			reason = detail.GetReason()
			if detail.GetMetadata() != nil {
				metadata = detail.GetMetadata()
			}
		case *errdetails.BadRequest:
			for _, violation := range detail.GetFieldViolations() {
				fields = append(fields, violation.GetField())
			}
		case *errdetails.RetryInfo:
			retry = true
		}
	}
	slices.Sort(fields)
	return object{
		"code": int(refused.Code()), "reason": reason, "metadata": metadata, "fields": fields, "retry": retry,
	}, nil
}
