SwaggerUIBundle({ url: "/schema/openapi.json", dom_id: "#page", deepLinking: true, tryItOutEnabled: true });
