//! What a server says it speaks.

use futures::stream;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use super::Served;

#[tokio::test(flavor = "multi_thread")]
async fn reflection_lists_and_describes_every_service() {
    let served = Served::start().await;
    let ask = async |asked: MessageRequest| {
        let request = ServerReflectionRequest { host: String::new(), message_request: Some(asked) };
        let mut client = ServerReflectionClient::new(served.channel().await);
        let answers = client.server_reflection_info(stream::iter([request])).await.unwrap();
        answers.into_inner().message().await.unwrap().unwrap().message_response.unwrap()
    };
    let MessageResponse::ListServicesResponse(listed) =
        ask(MessageRequest::ListServices(String::new())).await
    else {
        panic!("no services are listed")
    };
    let listed: Vec<String> = listed.service.into_iter().map(|service| service.name).collect();
    let served_names = ["LookupService", "PushService", "JobService", "RegistryService"]
        .map(|name| format!("hitherto.v1.{name}"));
    let others = ["feast.serving.ServingService", "arrow.flight.protocol.FlightService"];
    for name in served_names.iter().map(String::as_str).chain(others) {
        assert!(listed.iter().any(|listed| listed == name), "{name} is not in {listed:?}");
        let described = ask(MessageRequest::FileContainingSymbol(name.to_owned())).await;
        assert!(matches!(described, MessageResponse::FileDescriptorResponse(_)), "{name}");
    }
    served.stop().await;
}
